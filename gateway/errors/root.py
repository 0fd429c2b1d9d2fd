"""The root of the error tree."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(eq=False)
class GatewayError(Exception):
    """Root of all errors that end a request. `reason` comes from a closed set: it is a metric label."""

    reason: ClassVar[str] = "internal"

    def __str__(self) -> str:
        return self.reason

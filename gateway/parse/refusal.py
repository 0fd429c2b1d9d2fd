"""The one way an image can be refused inside this room; `read` turns it into a BadImage with the field's name."""

from dataclasses import dataclass


@dataclass(eq=False)
class ImageRefused(Exception):
    """An image whose size is not to be had in one way only. `reason` is from a closed set, for machines."""

    reason: str

    def __str__(self) -> str:
        return self.reason

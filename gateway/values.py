"""Values: records that nobody changes once they are made, cheap to make.

A frozen dataclass pays at run time for each field it sets, and a request makes some dozens of them. These are frozen
for the type checker, which reads the package and its tests, and set their fields plainly at run time.
"""

from typing import TYPE_CHECKING, Any

__all__ = ["value"]

if TYPE_CHECKING:
    from dataclasses import dataclass as value
else:
    from dataclasses import dataclass

    def value(*, frozen: bool, slots: bool, **wishes: Any) -> Any:
        """As `dataclass`, for what is frozen: compared and hashed by its fields."""
        if not frozen:
            raise TypeError("a value is frozen")
        return dataclass(slots=slots, unsafe_hash=True, **wishes)

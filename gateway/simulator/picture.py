"""Picture: what one picture shows. Known to who asks for it and to who draws it."""

from dataclasses import dataclass

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Picture:
    """What one picture shows, and how it is encoded (`png`, `jpg`, `webp`)."""

    prompt: str
    seed: int
    size: Size
    format: str
    transparent: bool = False

"""Script: the texts of `lua/`, as the store knows them. Nothing here runs one."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

_LUA = Path(__file__).parent.parent / "lua"

_READS = frozenset({"snapshot"})


@dataclass(frozen=True, slots=True)
class Script:
    """A script's text and the hash the store knows it by."""

    name: str
    text: str
    sha1: str

    @property
    def reads_only(self) -> bool:
        """Whether it never writes."""
        return self.name in _READS

    @classmethod
    def load(cls, name: str) -> "Script":
        """Read `lua/<name>.lua`, with `common.lua` before it and `closing.lua` after it."""
        return cls.of(name, (_LUA / f"{name}.lua").read_text("utf-8"))

    @classmethod
    def of(cls, name: str, body: str) -> "Script":
        """A script with this body: Lua that returns a table whose first word says what happened."""
        common, closing = ((_LUA / file).read_text("utf-8") for file in ("common.lua", "closing.lua"))
        text = f"{common}\nlocal function decide()\n{body}\nend\n\n{closing}"
        return cls(name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())

"""What every replayed client has in common: where it is pointed, what it says, what it got."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.simulator.settings import Flavour
from tests.unit.parse.wire import File

RAPIDAPI_HOST = "dezgo.p.rapidapi.com"

# Parameters in the order they go out, uploaded files among them.
Said = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Target:
    """Where a client is pointed at, and the key it was given. The same client works with upstream and gateway."""

    host: str
    flavour: Flavour
    key: str = field(repr=False)

    @property
    def port(self) -> int:
        """Of this machine."""
        return int(self.host.rpartition(":")[2])

    def url(self, path: str) -> str:
        """For libraries that take one."""
        return f"http://{self.host}{path}"

    def keys(self, *, lower: bool = False) -> dict[str, str]:
        """The fields the key goes in."""
        if self.flavour == "rapidapi":
            named = {"X-RapidAPI-Key": self.key, "X-RapidAPI-Host": RAPIDAPI_HOST}
        else:
            named = {"X-Dezgo-Key": self.key}
        named = {name: value for name, value in named.items() if self.key}
        return {name.lower(): value for name, value in named.items()} if lower else named


@dataclass(frozen=True, slots=True)
class Got:
    """One answer, and the body and its type as they went out.

    Attributes:
        framing: how the answer ended, as in `Wire`; None where the library hides it.
    """

    status: int
    fields: Mapping[str, str]
    body: bytes
    sent: bytes
    sent_type: str | None
    framing: str | None = None

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


# A client at work: target, verb, path, parameters.
Way = Callable[[Target, str, str, Said], Awaitable[Got]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One call that some program makes.

    Attributes:
        name: `c05` and so on in the project's list of shapes, with a word behind it where there are several.
        way: the library it is made with.
        said: parameters and files, in order.
        credits: what the upstream charges for it.
        quoted: what the gateway says before, where its tariff knows a dearer case.
        reads: fields of the answer that the program reads.
        kind: the answer's content type, to the letter.
        at_once: how many such calls it makes at the same time.
    """

    name: str
    way: Way
    path: str = "/text2image"
    said: Said = field(default_factory=dict)
    credits: int = 0
    quoted: int | None = None
    flavour: Flavour = "direct"
    verb: str = "POST"
    reads: tuple[str, ...] = ()
    kind: str = "image/png"
    at_once: int = 1

    async def call(self, target: Target) -> Got:
        """Make the call once."""
        return await self.way(target, self.verb, self.path, self.said)


def texts(said: Said) -> dict[str, object]:
    """The parameters without the files."""
    return {name: value for name, value in said.items() if not isinstance(value, File)}


def files(said: Said) -> dict[str, File]:
    """The files, by field."""
    return {name: value for name, value in said.items() if isinstance(value, File)}

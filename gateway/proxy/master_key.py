"""The master key, and how to find it where it must not be.

Wall 15: the key exists in one object that only `proxy` can open, and prints as `***`. It stands in no attribute:
only in the closures of its own methods, where neither `vars`, `repr`, a pickle nor a traceback with locals looks.
"""

import base64
import re
from collections.abc import Callable
from typing import NoReturn
from urllib.parse import quote

# Shorter ones would be found by chance in what is not theirs.
_CHARACTERS_MIN, _CHARACTERS_MAX = 16, 512
_LEGAL = re.compile(rf"[!-~]{{{_CHARACTERS_MIN},{_CHARACTERS_MAX}}}", re.ASCII)

# As much as the longest spelling of a key has: a percent sign and two digits for each byte.
KEPT_BACK_BYTES_MAX = 3 * _CHARACTERS_MAX

# Keys that were in use before and are still looked for: answers to calls made with them may be under way.
FORMER_KEYS = 3

# How much of a text body is searched for every form; what follows is searched for the plain one.
THOROUGH_BYTES = 1024 * 1024


class MasterKey:
    """The upstream's key.

    Args:
        text: 16 to 512 visible ASCII characters.

    Raises:
        ValueError: it is not. The message does not hold it.
    """

    __slots__ = ("__finds", "__open", "__plains", "__watch")

    def __init__(self, text: str) -> None:
        self.__plains: Callable[[], tuple[bytes, ...]] = tuple
        self.renew(text)

    def renew(self, text: str) -> None:
        """Take another key in this one's place, for all calls from now on. Raises ValueError, and then keeps this one.

        The last few former keys are still found where they must not be.
        """
        if not _LEGAL.fullmatch(text):
            raise ValueError("the master key is not 16 to 512 visible ASCII characters")
        plain = text.encode("ascii")
        former = tuple(key for key in self.__plains() if key != plain)[:FORMER_KEYS]
        plains = (plain, *former)
        forms = tuple(form for key in plains for form in _forms(key))
        self.__open: Callable[[], str] = lambda: text
        self.__plains = lambda: plains
        finds_any, finds_plain = _finder(forms), _finder(plains)
        begins_any, begins_plain = _beginnings(forms), _beginnings(plains)
        self.__finds: Callable[[bytes], bool] = finds_any
        self.__watch: Callable[[bool], Watch] = lambda thorough: Watch(
            finds_plain=finds_plain,
            finds_any=finds_any,
            thorough_bytes=THOROUGH_BYTES if thorough else 0,
            begins=begins_any if thorough else begins_plain,
        )

    def open(self) -> str:
        """The key itself. Only `proxy` may call this, and may not keep what it gets."""
        return self.__open()

    def found_in(self, piece: bytes) -> bool:
        """Whether `piece` holds the key: plain, reversed, as hex, base64 or percent-encoded."""
        return self.__finds(piece)

    def shown(self, piece: bytes) -> str:
        """`piece` as text, or `***` when it holds the key."""
        return "***" if self.found_in(piece) else piece.decode("latin-1")

    def watch(self, *, thorough: bool) -> "Watch":
        """Watch one body go by: for every form if `thorough`, else for the plain one alone."""
        return self.__watch(thorough)

    def __repr__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return format("***", spec)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("the master key is neither pickled nor copied")


class Watch:
    """A body passing piece by piece. Last bytes that a key may begin with are kept back: one cut in two is found."""

    __slots__ = ("_begins", "_finds_any", "_finds_plain", "_kept", "_thorough_bytes")

    def __init__(
        self,
        *,
        finds_plain: Callable[[bytes], bool],
        finds_any: Callable[[bytes], bool],
        thorough_bytes: int,
        begins: Callable[[bytes], int],
    ) -> None:
        self._finds_plain = finds_plain
        self._finds_any = finds_any
        self._thorough_bytes = thorough_bytes
        self._begins = begins
        self._kept = b""

    def passed(self, piece: bytes) -> bytes | None:
        """What may be passed on now, perhaps nothing; None when the key came into sight: pass on nothing more."""
        seen = self._kept + piece if self._kept else piece
        finds = self._finds_any if self._thorough_bytes > 0 else self._finds_plain
        self._thorough_bytes -= len(piece)
        if finds(seen):
            self._kept = b""
            return None
        cut = self._begins(seen)
        self._kept = seen[cut:]
        return seen[:cut]  # of a whole piece no copy

    def rest(self) -> bytes:
        """What was kept back, once the body is whole."""
        kept, self._kept = self._kept, b""
        return kept


def _finder(forms: tuple[bytes, ...]) -> Callable[[bytes], bool]:
    """Says of a piece whether one of these forms is in it."""

    def finds(piece: bytes) -> bool:
        for form in forms:  # noqa: SIM110 - `any` costs more than the search itself
            if piece.find(form) >= 0:  # `in` asks first whether `form` is a number, by way of an exception
                return True
        return False

    return finds


def _beginnings(forms: tuple[bytes, ...]) -> Callable[[bytes], int]:
    """Says where in a piece the first of these forms may begin that does not end in it; its length for nowhere."""
    longest = max(map(len, forms)) - 1
    starts = tuple((form, form[:1]) for form in forms)

    def begins(piece: bytes) -> int:
        tail_at = max(0, len(piece) - longest)
        tail = piece[tail_at:]
        first = len(tail)
        for form, start in starts:
            at = tail.find(start)
            while 0 <= at < first:
                if form.startswith(tail[at:]):
                    first = at
                at = tail.find(start, at + 1)
        return tail_at + first

    return begins


def _forms(plain: bytes) -> tuple[bytes, ...]:
    """The key as it may be echoed; the plain form first."""
    text = plain.decode("ascii")
    every_byte = "".join(f"%{byte:02X}" for byte in plain)
    forms = [plain, plain[::-1], plain.hex().encode(), plain.hex().upper().encode()]
    forms += [quote(text, safe="").encode(), every_byte.encode(), every_byte.lower().encode()]
    for before in range(3):
        forms += _base64_inside(plain, before)
    return tuple(dict.fromkeys(forms))


def _base64_inside(plain: bytes, before: int) -> tuple[bytes, bytes]:
    """What base64 makes of the key with `before` (mod 3) unknown bytes in front and any number behind.

    Only the characters that depend on nothing but the key count: those that share a byte with a neighbour go.
    """
    first = -(-before * 8 // 6)
    last = (before + len(plain)) * 8 // 6
    padded = bytes(before) + plain
    return base64.b64encode(padded)[first:last], base64.urlsafe_b64encode(padded)[first:last]

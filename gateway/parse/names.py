"""Names: which field is a priced parameter, and which one some reader would merely take for one.

Only the exact name is read. A name that folding case, normalising Unicode, dropping what is no letter or digit, cutting
off an index, or decoding once more turns into a priced one is refused: some reader upstream may do just that.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

from gateway.errors import BadBody, DuplicateParameter, TokenInUrl

NAME_CHARS_MAX = 256

# A name that is no plain word is folded in many ways; a thousand long ones would keep everybody waiting.
ODD_NAME_CHARS_MAX = 64

# Under these a client might send its token, which must never travel upstream. Written as `fold` writes them.
_CREDENTIALS = frozenset(
    {"accesstoken", "apikey", "authorization", "jwt", "key", "token", "xapikey", "xdezgokey", "xrapidapikey"}
)
_CREDENTIAL = ""

_FURTHER_DECODINGS = 3
_NO_LETTER_OR_DIGIT = re.compile(r"[^a-z0-9]+")
# A C string ends at NUL; `steps[0]`, `steps[]` and `steps.0` are elements of `steps` to several form readers.
_CUTS = (re.compile(r"[\x00\[]"), re.compile(r"[\x00\[.]"))


def fold(name: str) -> str:
    """`name` as the most forgiving reader compares it: lower-case ASCII letters and digits only."""
    if name.isascii():
        return _NO_LETTER_OR_DIGIT.sub("", name.lower())
    # Upper before lower case: the dotless i is an i only to readers who compare in capitals.
    capitals = unicodedata.normalize("NFKD", name).upper()
    return _NO_LETTER_OR_DIGIT.sub("", unicodedata.normalize("NFKD", capitals).casefold())


def _readings(name: str) -> Iterator[str]:
    for _ in range(_FURTHER_DECODINGS + 1):
        yield fold(name)
        for cut in _CUTS:
            yield fold(cut.split(name.lstrip("[."), maxsplit=1)[0])
        decoded = unquote(name)
        if decoded == name:
            return
        name = decoded


@dataclass(frozen=True, slots=True)
class Names:
    """The priced names of one method.

    Attributes:
        exact: as they must be written.
        folded: folded name to priced name; a credential's folded name to the empty string.
    """

    exact: frozenset[str]
    folded: Mapping[str, str]

    def is_priced(self, name: str) -> bool:
        """Whether the field `name` is to be read; false when no reader could take it for a priced one.

        Raises:
            DuplicateParameter: `name` is not a priced name, but some reader may take it for one.
            TokenInUrl: it is the name of a credential.
            BadBody: it is longer than 256 characters, or than 64 and no plain word.
        """
        if name in self.exact:
            return True
        if len(name) > NAME_CHARS_MAX:
            raise BadBody(f"a field's name is longer than {NAME_CHARS_MAX} characters")
        if len(name) > ODD_NAME_CHARS_MAX and not _is_word(name):
            raise BadBody(f"a field's name is longer than {ODD_NAME_CHARS_MAX} characters and no plain word")
        alike = self.taken_for(name)
        if alike is None:
            return False
        raise DuplicateParameter(alike, "must be written exactly so: some readers take another field for it")

    def taken_for(self, name: str) -> str | None:
        """The priced name that `name` is, or that some reader takes it for; None when there is none.

        Raises:
            TokenInUrl: it is the name of a credential.
        """
        if _is_word(name):
            alike = self.folded.get(name.replace("_", "").lower())
        else:
            alike = next((self.folded[reading] for reading in _readings(name) if reading in self.folded), None)
        if alike == _CREDENTIAL:
            raise TokenInUrl
        return alike


def _is_word(name: str) -> bool:
    return name.isascii() and name.isidentifier()


@lru_cache(maxsize=256)
def names_of(priced: tuple[str, ...]) -> Names:
    """The lookup for these priced names; built once per set of names."""
    folded = dict.fromkeys(_CREDENTIALS, _CREDENTIAL) | {fold(name): name for name in priced}
    return Names(frozenset(priced), folded)

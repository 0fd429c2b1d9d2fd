"""Shape: what all models of the configuration share: strictness, and the kinds of values they are made of."""

import re
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Annotated
from urllib.parse import SplitResult, urlsplit
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    InstanceOf,
    PlainSerializer,
    model_validator,
)

from gateway.settings.faults import Trail, nearest, refuse
from gateway.units import Credits


class Rules(BaseModel):
    """Base of all models here: unknown keys are refused, nothing is converted, nothing changes later."""

    # Built when first used: most are only ever used as parts of the whole file.
    model_config = ConfigDict(defer_build=True, extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


def matching(pattern: str, words: str) -> AfterValidator:
    """A validator for text that must match all of `pattern`; `words` say what that means."""
    compiled = re.compile(pattern, re.ASCII)

    def check(text: str) -> str:
        if compiled.fullmatch(text) is None:
            raise refuse(f"must be {words}")
        return text

    return AfterValidator(check)


def _printable(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        raise refuse("must be one line of printable text without spaces at its ends")
    return text


Text = Annotated[str, Field(min_length=1, max_length=1024), AfterValidator(_printable)]

TenantName = Annotated[
    str, matching(r"[a-z0-9][a-z0-9._-]{0,63}", "1 to 64 of a-z 0-9 . _ - and begin with a letter or digit")
]
UserName = Annotated[str, matching(r"[!-~]{1,128}", "1 to 128 printable ASCII characters without spaces")]


def _seconds(value: object) -> object:
    return float(value) if isinstance(value, Decimal) else value


# Time is no money: seconds may be binary fractions.
Seconds = Annotated[float, BeforeValidator(_seconds)]

# Shown beside credits, never booked.
Usd = Annotated[float, BeforeValidator(_seconds)]


def _file(value: object) -> object:
    if isinstance(value, str) and value.isprintable() and value:
        return Path(value)
    if isinstance(value, Path):
        return value
    raise refuse("must be a file's path")


FilePath = Annotated[Path, BeforeValidator(_file)]


def _credits(value: object) -> object:
    if isinstance(value, Credits):
        return value
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise refuse("must be a number of credits", "write the number alone, without quotes or unit")
    if value < 0:
        raise refuse("must not be negative")
    if value != round(value, 3):
        raise refuse("is finer than a thousandth of a credit")
    try:
        return Credits.parse(f"{value:f}")
    except ValueError:
        raise refuse("is more than 100,000 USD (1 credit = 0.0001 USD)") from None


Amount = Annotated[InstanceOf[Credits], BeforeValidator(_credits), PlainSerializer(str)]


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _zone(name: str) -> str:
    if name not in _zones():
        raise refuse("is not a known IANA time zone", nearest(name, _zones()))
    return name


Zone = Annotated[str, AfterValidator(_zone)]


def web_url(url: str, *, schemes: frozenset[str], at: Trail = ()) -> SplitResult:
    """Take `url` apart; refuse all that has no place in the address of a host: user, query, fragment.

    `at` is the way from the refusing model to the URL.
    """
    try:
        parts = urlsplit(url)
        readable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        readable = False
    if not readable or not url.isprintable() or " " in url:
        raise refuse("must be a URL such as https://host", at=at)
    if parts.scheme not in schemes:
        expected = " or ".join(sorted(f"{scheme}://" for scheme in schemes))
        raise refuse(f"must begin with {expected}", "allow_http allows http://", at=at)
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise refuse("must have no user, query or fragment", at=at)
    return parts


def web_schemes(*, allow_http: bool) -> frozenset[str]:
    """`https`, and `http` where it is allowed."""
    return frozenset({"https", "http"} if allow_http else {"https"})


class SecretRef(Rules):
    """Where a secret is found. The secret itself never stands in a configuration file."""

    env: Annotated[str, matching(r"[A-Za-z_][A-Za-z0-9_]{0,127}", "an environment variable's name")] | None = Field(
        default=None, description="Environment variable that holds the secret; looked at first."
    )
    file: FilePath | None = Field(
        default=None,
        description="File that holds the secret and nobody but its owner may read; "
        "relative paths count from the working directory.",
    )

    @model_validator(mode="after")
    def _somewhere(self) -> "SecretRef":
        if self.env is None and self.file is None:
            raise refuse("names no place for the secret", "give env, file or both")
        return self

"""Credits: the only money this gateway knows.

Wall 9: money is `Credits`. One credit is 0.0001 USD (the upstream's own definition); below this file it is
counted in whole millicredits. A float never meets it.
"""

import re
from collections.abc import Iterable
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum
from typing import ClassVar, Self

from gateway.values import value

MILLICREDITS_PER_CREDIT = 1_000
MILLICREDITS_PER_USD = 10_000 * MILLICREDITS_PER_CREDIT

# 100,000 USD. Nothing is priced, held or booked above it, which keeps every sum of the ledger far below
# 2^53, the largest whole number Lua counts exactly.
MILLICREDITS_MAX = 10**12

_DECIMAL = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,18})?", re.ASCII)


class Flag(StrEnum):
    """How sure a booked amount is. Everything but `confirmed` can be listed and refunded."""

    CONFIRMED = "confirmed"
    UNCONFIRMED = "unconfirmed"
    UNCERTAIN = "uncertain"


@value(frozen=True, order=True, slots=True)
class Credits:
    """An amount of credits, held as whole millicredits. Differences may be negative; prices never are."""

    millicredits: int

    ZERO: ClassVar["Credits"]

    @classmethod
    def whole(cls, credits: int) -> Self:
        """`credits` whole credits."""
        return cls(credits * MILLICREDITS_PER_CREDIT)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a plain decimal number of credits, such as `19` or `19.5`.

        What is finer than a millicredit is rounded up: what is owed is never booked short.

        Raises:
            ValueError: not `digits[.digits]`, or more than 100,000 USD.
        """
        return cls._read(text, MILLICREDITS_PER_CREDIT)

    @classmethod
    def parse_usd(cls, text: str) -> Self:
        """Read a plain decimal number of US dollars, such as `0.0019`; rounding and errors as `parse`."""
        return cls._read(text, MILLICREDITS_PER_USD)

    @classmethod
    def _read(cls, text: str, scale: int) -> Self:
        if not _DECIMAL.fullmatch(text):
            raise ValueError("not a plain decimal number")
        millicredits = int((Decimal(text) * scale).to_integral_value(rounding=ROUND_CEILING))
        if millicredits > MILLICREDITS_MAX:
            raise ValueError("more than 100,000 USD")
        return cls(millicredits)

    @classmethod
    def sum(cls, amounts: Iterable["Credits"]) -> Self:
        """The sum of `amounts`; zero for none."""
        return cls(sum(amount.millicredits for amount in amounts))

    def __add__(self, other: "Credits") -> "Credits":
        return Credits(self.millicredits + other.millicredits)

    def __sub__(self, other: "Credits") -> "Credits":
        return Credits(self.millicredits - other.millicredits)

    def __mul__(self, times: int) -> "Credits":
        return Credits(self.millicredits * times)

    def __bool__(self) -> bool:
        return self.millicredits != 0

    def __str__(self) -> str:
        """Credits as a plain number without superfluous zeros: `19`, `19.5`."""
        return _plain(self.millicredits, 3)

    def usd(self) -> str:
        """US dollars as a plain number with at least four decimals, as the upstream writes them."""
        sign = "-" if self.millicredits < 0 else ""
        dollars, rest = divmod(abs(self.millicredits), MILLICREDITS_PER_USD)
        decimals = f"{rest:07d}"
        return f"{sign}{dollars}.{decimals[:4]}{decimals[4:].rstrip('0')}"

    def as_number(self) -> int | float:
        """Credits as a JSON number or a metric's sample, for showing only: whole ones as int."""
        credits, rest = divmod(self.millicredits, MILLICREDITS_PER_CREDIT)
        return credits if rest == 0 else self.millicredits / MILLICREDITS_PER_CREDIT


def _plain(value: int, decimals: int) -> str:
    sign = "-" if value < 0 else ""
    whole, rest = divmod(abs(value), 10**decimals)
    return f"{sign}{whole}.{rest:0{decimals}d}".rstrip("0").rstrip(".") if rest else f"{sign}{whole}"


Credits.ZERO = Credits(0)

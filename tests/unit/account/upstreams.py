"""An account as the upstream keeps it, and a guard that only sees its answers."""

from gateway.account.findings import Compared, Exhausted, Finding, Foreign, Recovered
from gateway.account.guard import Draw, SharedAccount
from gateway.messages import Account, Flavour
from gateway.pricing.charge import Outcome
from gateway.units import Credits

METHOD = "text2image"


class Keeper:
    """The true account: charges in order, each with its balance and index."""

    def __init__(self, flavour: Flavour, credits: int) -> None:
        self.flavour = flavour
        self.credits = credits
        self.index = 0

    def take(self, credits: int) -> Account:
        """Charge; returns what the answer will say."""
        self.credits -= credits
        self.index += 1
        return self.told()

    def told(self) -> Account:
        left = Credits.whole(self.credits)
        if self.flavour is Flavour.DIRECT:
            return Account(left, index=self.index)
        return Account(left, Credits.whole(1_000_000), 1_000_000)


class Bench:
    """A guard, its clock and its findings."""

    def __init__(self, *, floor: int = 0) -> None:
        self.now_s = 1_000.0
        self.found: list[Finding] = []
        self.guard = SharedAccount(
            floor=Credits.whole(floor), exhausted_s=30.0, found=self.found.append, clock_s=lambda: self.now_s
        )

    def sent(self, credits: int = 19) -> Draw:
        """A call that was admitted and sent."""
        draw = self.guard.admit(Credits.whole(credits), METHOD)
        draw.sent()
        return draw

    def called(self, keeper: Keeper, credits: int = 19) -> None:
        """A whole call, alone."""
        answered(self.sent(credits), keeper.take(credits), credits)

    def refused(self, credits: int = 19) -> None:
        """A call that the upstream refuses for the account's sake."""
        self.sent(credits).answered(Account(), Outcome.REFUSED, exhausted=True)

    def foreign(self) -> list[Credits]:
        return [finding.credits for finding in self.found if isinstance(finding, Foreign)]

    def compared(self) -> list[Credits]:
        return [finding.difference for finding in self.found if isinstance(finding, Compared)]

    def changes(self) -> list[str]:
        names = {Exhausted: "exhausted", Recovered: "recovered"}
        return [names[type(finding)] for finding in self.found if type(finding) in names]


def answered(draw: Draw, told: Account, credits: int) -> None:
    """The answer of a call that was charged `credits`."""
    draw.answered(told, Outcome.REPORTED, Credits.whole(credits))

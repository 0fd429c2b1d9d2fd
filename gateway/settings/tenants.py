"""`tenants.yaml`: who may spend how much, and when it begins anew. Plain models; the ledger's budgets come later."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator

from gateway.settings.faults import nearest, refuse
from gateway.settings.shape import Amount, Rules, TenantName, Text, UserName, Zone

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

_MONTH_DAYS = 31

_PER_SECOND_MAX = 10_000

_DEFAULT_START: dict[str, int | str] = {"week": "monday", "month": 1}


class BudgetRule(Rules):
    """So many credits in every such window.

    `starts_on` is a weekday's name for weeks (None: monday), a day of the month for months (None: 1; days a
    month does not have mean its last day), and None for all other windows.
    """

    credits: Amount = Field(description="Credits to spend in one window (1 credit = 0.0001 USD); up to 3 decimals.")
    every: Literal["hour", "day", "week", "month", "total"] = Field(description="The window; total never begins anew.")
    zone: Zone = Field(default="UTC", description="IANA time zone in which windows begin.")
    starts_on: int | str | None = Field(
        default=None, description="week: monday … sunday; month: 1 … 31, clamped to the month's end."
    )

    @field_validator("starts_on", mode="before")
    @classmethod
    def _fits_the_window(cls, value: object, known: ValidationInfo) -> object:
        every = known.data.get("every")
        if value is None or every is None:
            return None
        if every == "week" and value not in WEEKDAYS:
            raise refuse("must be a weekday", nearest(value, WEEKDAYS) if isinstance(value, str) else "such as monday")
        if every == "month" and (type(value) is not int or not 1 <= value <= _MONTH_DAYS):
            raise refuse(f"must be a day of the month, 1 to {_MONTH_DAYS}")
        if every not in ("week", "month"):
            raise refuse("only weeks and months have a start", "delete this key")
        return value


def _each_window_once(rules: tuple[BudgetRule, ...]) -> tuple[BudgetRule, ...]:
    # Said or left out, a default is the same start.
    windows = [(rule.every, rule.zone, rule.starts_on or _DEFAULT_START.get(rule.every)) for rule in rules]
    for index, window in enumerate(windows):
        if window in windows[:index]:
            raise refuse("has the window of another budget in this list", "only one of them can count", at=(index,))
    return rules


BudgetRules = Annotated[tuple[BudgetRule, ...], Field(max_length=16), AfterValidator(_each_window_once)]


class UserRules(Rules):
    """Budgets of one user, beside those that each user has."""

    budgets: BudgetRules = Field(default=(), description="This user's own budgets.")


class TeamRules(Rules):
    """Budgets of one team and of each user in it."""

    budgets: BudgetRules = Field(default=(), description="Budgets the team's users share.")
    each_user: BudgetRules = Field(default=(), description="Budgets every user of the team has alone.")


_FINEST = Decimal("0.001")


def _per_second(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise refuse("must be a number of calls", "write the number alone, without quotes or unit")
    if not _FINEST <= value <= _PER_SECOND_MAX or value != round(value, 3):
        raise refuse(f"must be 0.001 to {_PER_SECOND_MAX}, in whole thousandths")
    return Decimal(value)


class LimitRules(Rules):
    """How many calls of one tenant may be made at once. They are decided in the same step as its budgets."""

    calls_in_flight: int | None = Field(
        default=None, ge=1, le=100_000, description="Paid calls that have not ended, on all gateways together."
    )
    calls_per_second: Annotated[Decimal, BeforeValidator(_per_second)] | None = Field(
        default=None, description="Paid calls that may begin in a second, in the long run: 5, or 0.1 for one in ten."
    )
    burst: int | None = Field(
        default=None,
        ge=1,
        le=100_000,
        validate_default=True,
        description="Calls that may begin at one instant after a rest; null: those of one second.",
    )

    @field_validator("burst")
    @classmethod
    def _of_a_pace(cls, value: int | None, known: ValidationInfo) -> int | None:
        if value is not None and known.data.get("calls_per_second", value) is None:
            raise refuse("needs calls_per_second", "delete this key")
        return value


class TenantRules(Rules):
    """Budgets of one tenant, its teams and users. A call must fit into every budget on its path."""

    title: Text | None = Field(default=None, description="A name for people.")
    frozen: bool = Field(default=False, description="Refuse all calls of this tenant.")
    limits: LimitRules = Field(default_factory=LimitRules, description="Calls that may be made at once.")
    budgets: Annotated[BudgetRules, Field(min_length=1)] = Field(
        description="Budgets all of the tenant shares; at least one."
    )
    each_user: BudgetRules = Field(default=(), description="Budgets every user of the tenant has alone.")
    teams: Mapping[TenantName, TeamRules] = Field(default_factory=dict, description="Teams by name.")
    users: Mapping[UserName, UserRules] = Field(default_factory=dict, description="Users with budgets of their own.")


class TenantsFile(Rules):
    """All of `tenants.yaml`."""

    tenants: Annotated[Mapping[TenantName, TenantRules], Field(min_length=1)] = Field(
        description="Tenants by name. A tenant that is not here is refused."
    )

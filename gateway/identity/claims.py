"""From verified claims to a Principal, by configuration. Pure.

1. What the rules name and the token holds must be legal: nothing is trimmed, folded or passed over.
2. A grant can only narrow, so a malformed one is refused, never read as "no limit".
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar, Final, Self

from gateway.errors import TenantInvalid, Unauthenticated
from gateway.identity.principal import Grants, Principal
from gateway.units import Credits

METHODS_MAX = 64
METHOD_CHARS_MAX = 64
TOKEN_ID_DIGITS = 12

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_USER = re.compile(r"[!-~]{1,128}")


class _Absent(Enum):
    ABSENT = "absent"


ABSENT: Final = _Absent.ABSENT


@dataclass(frozen=True, slots=True)
class Claim:
    """Where a value stands in the claims: the member names from the outside in."""

    path: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.path or not all(self.path):
            raise ValueError("a claim path needs at least one name, and none of them empty")

    @classmethod
    def at(cls, path: str | Sequence[str]) -> Self:
        """`org.tenant` is the member `tenant` of `org`; a list holds names that contain dots themselves.

        Raises:
            ValueError: an empty path or name.
        """
        return cls(tuple(path.split(".") if isinstance(path, str) else path))

    @property
    def name(self) -> str:
        """How the path is written in the configuration."""
        return ".".join(self.path)

    def find(self, claims: Mapping[str, object]) -> object:
        """The value, `ABSENT` if there is none, or None where something other than an object is in the way."""
        here: object = claims
        for step in self.path:
            if not isinstance(here, Mapping):
                return None
            if step not in here:
                return ABSENT
            here = here[step]
        return here


@dataclass(frozen=True, slots=True)
class Fixed:
    """One value for every token of an issuer, whatever the token says."""

    value: str
    name: ClassVar[str] = "fixed"


@dataclass(frozen=True, slots=True)
class ClaimRules:
    """Where an issuer's tokens say who calls. None: never read.

    Raises:
        ValueError: a fixed value that no token could legally carry.
    """

    tenant: Claim | Fixed = Claim(("tenant",))
    team: Claim | Fixed | None = Claim(("team",))
    user: Claim | Fixed | None = Claim(("sub",))
    methods: Claim | None = Claim(("methods",))
    credits_max: Claim | None = Claim(("credits_max",))

    def __post_init__(self) -> None:
        for rule, alphabet in ((self.tenant, _NAME), (self.team, _NAME), (self.user, _USER)):
            if isinstance(rule, Fixed) and not alphabet.fullmatch(rule.value):
                raise ValueError("a fixed tenant, team or user is not a legal name")


def read_principal(claims: Mapping[str, object], rules: ClaimRules, *, expires_at: float) -> Principal:
    """The Principal that verified `claims` speak of.

    Raises:
        TenantInvalid: tenant missing, or tenant, team or user not a legal name; names the claim by its path.
        Unauthenticated: `jwt_claim`, a malformed grant or `jti`.
    """
    return Principal(
        tenant=_tenant(claims, rules.tenant),
        team=_name(claims, rules.team, _NAME),
        user=_name(claims, rules.user, _USER),
        grants=Grants(_methods(claims, rules.methods), _credits_max(claims, rules.credits_max)),
        expires_at=expires_at,
        token_id=_token_id(claims),
    )


def _tenant(claims: Mapping[str, object], rule: Claim | Fixed) -> str:
    tenant = _name(claims, rule, _NAME)
    if tenant is None:
        raise TenantInvalid(rule.name)
    return tenant


def _name(claims: Mapping[str, object], rule: Claim | Fixed | None, alphabet: re.Pattern[str]) -> str | None:
    if rule is None:
        return None
    if isinstance(rule, Fixed):
        return rule.value
    value = rule.find(claims)
    if value is ABSENT:
        return None
    if not isinstance(value, str) or not alphabet.fullmatch(value):
        raise TenantInvalid(rule.name)
    return value


def _methods(claims: Mapping[str, object], rule: Claim | None) -> frozenset[str] | None:
    value = ABSENT if rule is None else rule.find(claims)
    if value is ABSENT:
        return None
    if not isinstance(value, list) or len(value) > METHODS_MAX or not all(map(_is_method, value)):
        raise Unauthenticated("jwt_claim")
    return frozenset(value)


def _is_method(value: object) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= METHOD_CHARS_MAX


def _credits_max(claims: Mapping[str, object], rule: Claim | None) -> Credits | None:
    value = ABSENT if rule is None else rule.find(claims)
    if value is ABSENT:
        return None
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise Unauthenticated("jwt_claim")
    try:
        return Credits.parse(str(value))
    except ValueError:
        raise Unauthenticated("jwt_claim") from None


def _token_id(claims: Mapping[str, object]) -> str | None:
    jti = claims.get("jti", ABSENT)
    if jti is ABSENT:
        return None
    if not isinstance(jti, str):
        raise Unauthenticated("jwt_claim")
    return token_id(jti)


def token_id(jti: str) -> str:
    """What a token is called in log lines and revocations: 12 hex digits of a hash of its `jti`."""
    return hashlib.sha256(jti.encode()).hexdigest()[:TOKEN_ID_DIGITS]

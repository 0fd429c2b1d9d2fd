"""Tokens to Principals: the only door into this room that a request uses.

1. Keys are looked up under the token's issuer; a `kid` of one issuer means nothing to another.
2. The algorithm is the key's. A token can only agree with it.
3. What was verified is remembered under the hash of the whole token, and forgotten when it expires or the
   issuer's key set changes.
4. What was remembered is still held against the list of revoked tokens, each time.
5. The wall clock is handed in; the only waiting is for a key set, at most `wait_s` of its source.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from jwt.api_jws import PyJWS
from jwt.exceptions import PyJWTError

from gateway.errors import Unauthenticated
from gateway.identity.claims import ClaimRules, read_principal
from gateway.identity.jwks import JwksSource, SetState
from gateway.identity.keys import Key, KeySet
from gateway.identity.preparse import ALGORITHMS, TOKEN_BYTES_MAX, Unverified, preparse
from gateway.identity.principal import Principal
from gateway.identity.revocation import RevocationWatch

LEEWAY_S_MAX = 300.0
CACHE_MAX = 4096

_JWS = PyJWS(algorithms=sorted(ALGORITHMS))


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who may sign tokens, with which keys, and how its claims are read.

    Attributes:
        name: compared with `iss`, character by character.
        audiences: the token's `aud` must hold one of them.
        keys: keys from the configuration; they win over the provider's.
        jwks: the provider's key set, or None.
        rules: where the claims say who calls.
        leeway_s: how far clocks may differ, 0 to 300.
        require_typ: refuse its tokens whose header does not say `JWT` or `at+jwt`.

    Raises:
        ValueError: no name, no audience, no key at all, or a leeway out of bounds.
    """

    name: str
    audiences: frozenset[str]
    keys: KeySet = field(default_factory=KeySet)
    jwks: JwksSource | None = None
    rules: ClaimRules = field(default_factory=ClaimRules)
    leeway_s: float = 30.0
    require_typ: bool = True

    def __post_init__(self) -> None:
        if not self.name or not self.audiences or not all(self.audiences):
            raise ValueError("an issuer needs a name and at least one audience")
        if not self.keys.keys and self.jwks is None:
            raise ValueError("an issuer needs at least one usable key or a key set to fetch")
        if not 0 <= self.leeway_s <= LEEWAY_S_MAX:
            raise ValueError("leeway_s must be between 0 and 300")


@dataclass(frozen=True, slots=True)
class _Found:
    """A key, and the generation of the fetched set it depends on; None when it depends on none."""

    key: Key
    generation: int | None


@dataclass(frozen=True, slots=True)
class _Verified:
    principal: Principal
    issuer: Issuer
    not_before: float
    issued_at: float | None
    generation: int | None


class Verifier:
    """Verifies tokens of several issuers. One per process; safe for any number of tasks of one loop.

    Attributes:
        cache_hits: tokens that were known.
        cache_misses: tokens that had to be verified, whatever they proved.
    """

    def __init__(
        self,
        issuers: Iterable[Issuer],
        *,
        clock: Callable[[], float] = time.time,
        cache_max: int = CACHE_MAX,
        revocations: RevocationWatch | None = None,
    ) -> None:
        """Take over `issuers` and `revocations`; `start` and `close` reach them.

        Args:
            issuers: at least one, each name once.
            clock: seconds since the epoch.
            cache_max: how many verified tokens are remembered; 0 for none.
            revocations: the tokens that were taken back; None where nobody can do that.

        Raises:
            ValueError: no issuer, or two of one name.
        """
        listed = tuple(issuers)
        self._issuers = {issuer.name: issuer for issuer in listed}
        if not listed or len(self._issuers) != len(listed):
            raise ValueError("at least one issuer is needed, and each only once")
        self._clock = clock
        self._cache_max = cache_max
        self._revocations = revocations
        self._verified: OrderedDict[bytes, _Verified] = OrderedDict()
        self.cache_hits = self.cache_misses = 0

    async def start(self) -> None:
        """Fetch every key set and the revocations once and keep them fresh; who is away is no error."""
        if self._revocations is not None:
            await self._revocations.start()
        for issuer in self._issuers.values():
            if issuer.jwks is not None:
                await issuer.jwks.start()

    async def close(self) -> None:
        """End every task of every key set and of the revocations."""
        if self._revocations is not None:
            await self._revocations.close()
        for issuer in self._issuers.values():
            if issuer.jwks is not None:
                await issuer.jwks.close()

    def states(self) -> dict[str, SetState]:
        """How good each issuer's keys are; `none` means that none of its tokens can be judged."""
        return {issuer.name: _state(issuer) for issuer in self._issuers.values()}

    @property
    def ready(self) -> bool:
        """Whether every issuer's tokens can be judged now: keys are in hand, and what is revoked is known."""
        known = self._revocations is None or self._revocations.is_current()
        return known and all(state is not SetState.NONE for state in self.states().values())

    @property
    def cached(self) -> int:
        """How many verified tokens are remembered."""
        return len(self._verified)

    def keys_age_s(self) -> float | None:
        """Seconds since the oldest key set in hand was asked for; None where none was fetched."""
        ages = [issuer.jwks.age_s() for issuer in self._issuers.values() if issuer.jwks is not None]
        return max((age for age in ages if age is not None), default=None)

    def verify_cached(self, token: str) -> Principal | None:
        """The Principal of a token verified before and still valid; None means: ask `verify`. Never waits.

        Raises:
            Unauthenticated: it was revoked since.
            IdentityUnavailable: nobody knows whether it was.
        """
        digest = _digest(token)
        seen = self._verified.get(digest) if digest is not None else None
        if digest is None or seen is None:
            return None
        now = self._clock()
        if not seen.not_before <= now < seen.principal.expires_at or not _is_current(seen):
            del self._verified[digest]
            return None
        self._verified.move_to_end(digest)
        self.cache_hits += 1
        return self._unrevoked(seen)

    async def verify(self, token: str) -> Principal:
        """The Principal that `token` proves.

        It is valid in [nbf − leeway, exp + leeway), and an `iat` in the future counts like an `nbf`. Waits only
        for a key set that is missing, overdue or does not know the token's `kid`.

        Raises:
            Unauthenticated: it proves nothing; `code` says which check failed.
            TenantInvalid: it is valid, but its tenant, team or user is not a legal name.
            IdentityUnavailable: no key set could be fetched yet, or nobody knows what is revoked.
        """
        known = self.verify_cached(token)
        if known is not None:
            return known
        self.cache_misses += 1
        parsed = preparse(token, require_typ=False)
        issuer = self._issuers.get(parsed.issuer)
        if issuer is None:
            raise Unauthenticated("jwt_iss")
        if issuer.require_typ and not parsed.typed:
            raise Unauthenticated("jwt_typ")
        found = await _find_key(issuer, parsed)
        if not _is_signed(token, found.key):
            raise Unauthenticated("jwt_signature")
        _check_audience(parsed, issuer)
        not_before = max(parsed.not_before or 0, parsed.issued_at or 0) - issuer.leeway_s
        if not not_before <= self._clock() < parsed.expires_at + issuer.leeway_s:
            raise Unauthenticated("jwt_time")
        principal = read_principal(parsed.claims, issuer.rules, expires_at=parsed.expires_at)
        verified = _Verified(principal, issuer, not_before, parsed.issued_at, found.generation)
        self._remember(token, verified)
        return self._unrevoked(verified)

    def _unrevoked(self, verified: _Verified) -> Principal:
        if self._revocations is not None:
            self._revocations.refuse(verified.principal, issued_at=verified.issued_at)
        return verified.principal

    def _remember(self, token: str, verified: _Verified) -> None:
        digest = _digest(token)
        if digest is None:
            return
        self._verified[digest] = verified
        self._verified.move_to_end(digest)
        while len(self._verified) > self._cache_max:
            self._verified.popitem(last=False)


def _digest(token: str) -> bytes | None:
    if len(token) > TOKEN_BYTES_MAX or not token.isascii():
        return None
    return hashlib.sha256(token.encode("ascii")).digest()


def _is_current(seen: _Verified) -> bool:
    jwks = seen.issuer.jwks
    if seen.generation is None or jwks is None:
        return True
    return jwks.in_hand() is not None and jwks.generation == seen.generation


def _state(issuer: Issuer) -> SetState:
    fetched = SetState.NONE if issuer.jwks is None else issuer.jwks.state()
    if not issuer.keys.keys:
        return fetched
    return SetState.STALE if issuer.jwks is not None and fetched != SetState.FRESH else SetState.FRESH


async def _find_key(issuer: Issuer, parsed: Unverified) -> _Found:
    found = await _only_key(issuer, parsed.algorithm) if parsed.kid is None else await _key_of_kid(issuer, parsed.kid)
    if found.key.algorithm != parsed.algorithm:
        raise Unauthenticated("jwt_alg")
    return found


async def _key_of_kid(issuer: Issuer, kid: str) -> _Found:
    fixed = issuer.keys.by_kid(kid)
    if fixed is not None:
        return _Found(fixed, None)
    if issuer.jwks is None:
        raise Unauthenticated("jwt_kid")
    key = (await issuer.jwks.current()).by_kid(kid) or (await issuer.jwks.after_unknown_kid()).by_kid(kid)
    if key is None:
        raise Unauthenticated("jwt_kid")
    # Read without an await in between: this is the generation of the set that gave the key.
    return _Found(key, issuer.jwks.generation)


async def _only_key(issuer: Issuer, algorithm: str) -> _Found:
    """The one key for `algorithm`: a token that names none must not leave a choice."""
    keys = issuer.keys.by_algorithm(algorithm)
    generation = None
    if issuer.jwks is not None:
        keys += (await issuer.jwks.current()).by_algorithm(algorithm)
        generation = issuer.jwks.generation
    if len(keys) != 1:
        raise Unauthenticated("jwt_kid" if keys else "jwt_alg")
    return _Found(keys[0], generation)


def _is_signed(token: str, key: Key) -> bool:
    try:
        _JWS.decode(token, key.material, algorithms=[key.algorithm])
    except (PyJWTError, ValueError):
        return False
    return True


def _check_audience(parsed: Unverified, issuer: Issuer) -> None:
    audience = parsed.claims.get("aud")
    listed = audience if isinstance(audience, list) else [audience]
    if not all(isinstance(name, str) for name in listed) or issuer.audiences.isdisjoint(listed):
        raise Unauthenticated("jwt_aud")

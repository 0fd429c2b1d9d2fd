"""Tokens that prove nothing, or prove somebody who may not call: what is wrong with each, and what is answered."""

import base64
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import jwt

from tests.e2e.refusals import MARK
from tests.e2e.world import World

# Makes a token for a world.
Maker = Callable[[World], str]

_HOUR_S = 3600


def _claims(here: World, changes: Mapping[str, Any]) -> dict[str, Any]:
    now = int(time.time())
    good = {"iss": "tests", "aud": "gateway", "iat": now, "exp": now + _HOUR_S, "tenant": here.tenant("rich")}
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def token(secret: str | None = None, header: Mapping[str, Any] | None = None, **changes: Any) -> Maker:
    """A token that differs from a good one in its secret, header or claims; a claim of None is left out."""

    def make(here: World) -> str:
        key = here._secret if secret is None else secret
        return jwt.encode(_claims(here, changes), key, algorithm="HS256", headers={"kid": "k1", **(header or {})})

    return make


def _coded(document: object) -> str:
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unsigned(algorithm: str) -> Maker:
    """A token without a signature."""
    header = {"alg": algorithm, "typ": "JWT", "kid": "k1"}
    return lambda here: f"{_coded(header)}.{_coded(_claims(here, {}))}."


def said_twice(here: World) -> str:
    """A token with two tenants, rightly signed."""
    claims = json.dumps(_claims(here, {}))[:-1] + f', "tenant": "{here.tenant("poor")}"}}'
    signed = f"{_coded({'alg': 'HS256', 'typ': 'JWT', 'kid': 'k1'})}.{_coded(claims.encode())}"
    signature = jwt.get_algorithm_by_name("HS256").sign(signed.encode(), here._secret.encode())
    return f"{signed}.{_coded(signature)}"


def bent(change: Callable[[str], str]) -> Maker:
    """A good token, changed as text."""
    return lambda here: change(here.token())


_AGO = int(time.time()) - _HOUR_S

BAD: dict[str, Maker] = {
    "expired": token(exp=_AGO),
    "not yet valid": token(nbf=_AGO + 3 * _HOUR_S),
    "issued tomorrow": token(iat=_AGO + 24 * _HOUR_S),
    "no expiry": token(exp=None),
    "expiry as text": token(exp=str(_AGO + 2 * _HOUR_S)),
    "another audience": token(aud=MARK),
    "no audience": token(aud=None),
    "part of the audience": token(aud="gate"),
    "another issuer": token(iss=MARK),
    "no issuer": token(iss=None),
    "another secret": token(secret="x" * 64),
    "another key": token(header={"kid": MARK}),
    "a key by its path": token(header={"kid": "../../dev/null"}),
    "a key that it brings": token(header={"jwk": {"kty": "oct", "k": MARK}}),
    "a key elsewhere": token(header={"jku": "http://127.0.0.1:1/"}),
    "another type": token(header={"typ": "refresh+jwt"}),
    "no type": token(header={"typ": None}),
    "critical": token(header={"crit": ["b64"], "b64": False}),
    "claims twice": said_twice,
    "alg none": unsigned("none"),
    "alg NONE": unsigned("NONE"),
    "unsigned HS256": unsigned("HS256"),
    "grant of no number": token(credits_max="many"),
    "grant of no list": token(methods="text2image"),
    "cut short": bent(lambda good: good[:-4]),
    "padded": bent(lambda good: good + "="),
    "one letter more": bent(lambda good: good + "A"),
    "with a blank": bent(lambda good: good.replace(".", ". ", 1)),
    "two of them": bent(lambda good: f"{good},{good}"),
    "two parts": bent(lambda good: good.rpartition(".")[0]),
    "five parts": bent(lambda good: f"{good}.a.b"),
    "with Bearer": bent(lambda good: f"Bearer {good}"),
    "garbage": lambda _: MARK,
    "dots": lambda _: "..",
    "8 KiB": lambda _: "e" * 8_100,
    "a key of the upstream": lambda _: "DEZGO-" + "A1" * 35,
}

# Rightly signed, and of nobody who has a budget: tenant, user and so on, and what is answered.
NOBODY: dict[str, tuple[Maker, str]] = {
    "unknown tenant": (token(tenant="nobody"), "tenant_unknown"),
    "no tenant": (token(tenant=None), "tenant_invalid"),
    "upper case": (token(tenant="Rich"), "tenant_invalid"),
    "a blank": (token(tenant="rich tenant"), "tenant_invalid"),
    "a brace": (token(tenant="{rich}"), "tenant_invalid"),
    "a new line": (token(tenant="rich\nX-A: b"), "tenant_invalid"),
    "empty": (token(tenant=""), "tenant_invalid"),
    "65 characters": (token(tenant="r" * 65), "tenant_invalid"),
    "a number": (token(tenant=7), "tenant_invalid"),
    "a list": (token(tenant=["rich"]), "tenant_invalid"),
    "illegal team": (token(team=f"{MARK} {MARK}"), "tenant_invalid"),
    "illegal user": (token(sub="ann\nbob"), "tenant_invalid"),
}

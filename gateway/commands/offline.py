"""Offline: what the command line answers without a running gateway: quotes, tokens, checks."""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.build import claim_rules
from gateway.errors import BadParameter, GatewayError
from gateway.identity.mint import SigningKey, fresh_secret, mint_token, pem_signer, secret_signer
from gateway.parse.images import image_size
from gateway.parse.limits import Limits
from gateway.parse.read import read_job
from gateway.parse.refusal import ImageRefused
from gateway.pricing.job import Job, Size
from gateway.pricing.quote import Quote, quote
from gateway.pricing.tariff import Method, Status, Tariff
from gateway.settings import SecretError, SecretRef, Settings, read_secret
from gateway.units import Credits


class Refused(Exception):
    """What was asked cannot be done; the text says why, in words for the person who asked."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A job as said in flags. Attributes as in `pricing.Job`; `image` is a file whose size counts."""

    method: str
    width: int | None = None
    height: int | None = None
    steps: int | None = None
    upscaled: bool = False
    loras: int = 0
    options: tuple[str, ...] = ()
    image: Path | None = None


def priced_flags(tariff: Tariff, asked: Asked) -> Quote:
    """The quote of a job said in flags. Raises Refused."""
    method = _method(tariff, asked.method)
    size = _size(asked.image) if asked.image is not None else None
    if method.image_parameter is not None and size is None:
        raise Refused(f"{method.name} is priced by its uploaded image: name one with --image")
    unknown = set(asked.options) - set(method.options)
    if unknown:
        raise Refused(f"{method.name} has no such option; it has: {', '.join(sorted(method.options)) or 'none'}")
    job = Job(
        method.name,
        asked.width,
        asked.height,
        asked.steps,
        asked.upscaled,
        asked.loras,
        frozenset(asked.options),
        size,
    )
    return quote(tariff, method, job)


def priced_file(tariff: Tariff, name: str, path: Path, content_type: str) -> Quote:
    """The quote of a request body in a file, read exactly as a request's would be. Raises Refused."""
    method = _method(tariff, name)
    try:
        job = read_job(method, content_type=(content_type,), query="", body=_bytes(path), limits=Limits())
    except BadParameter as error:
        raise Refused(f"{error.parameter}: {error.detail}") from None
    except GatewayError as error:
        raise Refused(getattr(error, "detail", error.reason)) from None
    return quote(tariff, method, job)


def _size(path: Path) -> Size:
    try:
        return image_size(_bytes(path), pixels_max=Limits().pixels_max)
    except ImageRefused as error:
        raise Refused(f"the image has no certain size: {error.reason}") from None


def _method(tariff: Tariff, name: str) -> Method:
    method = tariff.method(name.strip("/"))
    if method is None:
        raise Refused(f"no rate for this method; the tariff has: {', '.join(sorted(tariff.methods))}")
    return method


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        raise Refused("the file cannot be read") from None


def as_document(priced: Quote) -> dict[str, Any]:
    """A quote as plain JSON values; credits as numbers."""
    return {
        "method": priced.method,
        "credits": priced.total.as_number(),
        "usd": priced.total.usd(),
        "at_most": priced.ceiling.as_number(),
        "status": priced.status,
        "tariff": priced.tariff_version,
        "lines": [
            {"name": line.name, "credits": line.credits.as_number(), "status": line.status} for line in priced.lines
        ],
    }


def as_json(priced: Quote) -> str:
    """A quote as one JSON object."""
    return json.dumps(as_document(priced), indent=2)


def as_text(priced: Quote) -> str:
    """A quote as people read it, one line an item."""
    rows = [
        (line.name, line.credits, "" if line.status is Status.PUBLISHED else "  estimated") for line in priced.lines
    ]
    width = max(len(str(credits)) for _, credits, _ in [*rows, ("", priced.total, "")])
    lines = [f"  {name:<24}{credits!s:>{width}} credits{note}" for name, credits, note in rows]
    counted = f"{priced.measure.pixels} pixels, {priced.measure.steps} steps, tariff {priced.tariff_version}"
    total = f"  {'total':<24}{priced.total!s:>{width}} credits = {priced.total.usd()} USD"
    return "\n".join((f"{priced.method}  ({counted})", *lines, total))


@dataclass(frozen=True, slots=True)
class Wish:
    """A token somebody wants for development. `ttl_s` in seconds; grants as in `identity.Grants`."""

    tenant: str
    team: str | None
    user: str | None
    ttl_s: int
    methods: tuple[str, ...]
    credits_max: str | None


def issued(settings: Settings, wish: Wish, *, signer: SigningKey | None = None) -> str:
    """A signed token as the settings' first issuer would issue it.

    Raises:
        Refused: no key to sign with, or a name no token may carry.
    """
    issuer = settings.identity.issuers[0]
    if wish.tenant not in settings.tenants and settings.tenants:
        raise Refused(f"tenant not configured; there are: {', '.join(sorted(settings.tenants))}")
    try:
        return mint_token(
            signer or _first_secret(settings),
            issuer=issuer.issuer,
            audience=issuer.audiences[0],
            tenant=wish.tenant,
            team=wish.team,
            user=wish.user,
            methods=frozenset(wish.methods) or None,
            credits_max=Credits.parse(wish.credits_max) if wish.credits_max is not None else None,
            ttl_s=wish.ttl_s,
            now=time.time(),
            rules=claim_rules(issuer.claims),
        )
    except (ValueError, GatewayError):
        raise Refused("no token may carry this tenant, team, user or grant") from None


def signer_from(path: Path, kid: str | None) -> SigningKey:
    """The signing key in a PEM file. Raises Refused."""
    try:
        return pem_signer(_bytes(path), kid=kid)
    except ValueError as error:
        raise Refused(str(error)) from None


def _first_secret(settings: Settings) -> SigningKey:
    keys = [key for key in settings.identity.issuers[0].keys if key.secret is not None]
    if not keys or keys[0].secret is None:
        raise Refused("the first issuer has no shared secret to sign with: give --private-key")
    key, ref = keys[0], keys[0].secret
    return secret_signer(_secret(ref).encode(), kid=key.kid)


def _secret(ref: SecretRef) -> str:

    try:
        return read_secret(ref, os.environ, Path.cwd())
    except SecretError as error:
        raise Refused(f"{error.message}: {error.hint}") from None


def create_missing_secret(settings: Settings) -> Path | None:
    """For development: make the first shared secret where the settings look for it, if it is nowhere yet.

    Returns the file written, or None when there was a secret already or no file is named.
    """
    for key in settings.identity.issuers[0].keys:
        ref = key.secret
        if ref is None or ref.file is None or ref.file.exists() or (ref.env and os.environ.get(ref.env)):
            continue
        ref.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(ref.file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(fresh_secret() + "\n")
        return ref.file
    return None

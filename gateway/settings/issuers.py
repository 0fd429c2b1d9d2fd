"""Issuers: whose tokens are believed, by which keys, and which claims say who calls."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from gateway.settings.faults import refuse
from gateway.settings.shape import (
    FilePath,
    Rules,
    Seconds,
    SecretRef,
    TenantName,
    Text,
    matching,
    web_schemes,
    web_url,
)

Algorithm = Literal["HS256", "RS256", "ES256", "EdDSA"]

_PEM_CHARACTERS_MAX = 16_384

ClaimPath = Annotated[
    Text, matching(r"[^.\s]{1,128}(?:\.[^.\s]{1,128}){0,7}", "a claim's name, or names joined by dots")
]


def check_public_key(text: str) -> str:
    """Refuse `text` unless it is one public key in PEM form. Whether it fits its algorithm, identity finds out."""
    if "PRIVATE" in text:
        raise refuse("is a private key", "give the public half, and replace this key: it is no longer secret")
    begins = text.lstrip().startswith(("-----BEGIN PUBLIC KEY-----", "-----BEGIN RSA PUBLIC KEY-----"))
    if not begins or text.count("-----BEGIN ") != 1 or len(text) > _PEM_CHARACTERS_MAX:
        raise refuse("must be one public key in PEM form", "it begins with -----BEGIN PUBLIC KEY-----")
    return text


PublicKey = Annotated[str, AfterValidator(check_public_key)]


class Key(Rules):
    """One key that tokens of an issuer may be signed with."""

    kid: Text = Field(description="The key's id, as tokens name it.")
    algorithm: Algorithm = Field(description="The one algorithm this key is used with.")
    secret: SecretRef | None = Field(default=None, description="HS256 only: where the shared secret is found.")
    public_key: PublicKey | None = Field(default=None, description="The others: the public key, PEM.")
    public_key_file: FilePath | None = Field(default=None, description="The others: a PEM file with the public key.")

    @model_validator(mode="after")
    def _one_source(self) -> "Key":
        public = [part for part in (self.public_key, self.public_key_file) if part is not None]
        if self.algorithm == "HS256" and (self.secret is None or public):
            raise refuse("an HS256 key needs `secret`, and no public key")
        if self.algorithm != "HS256" and (self.secret is not None or len(public) != 1):
            raise refuse(f"a key for {self.algorithm} needs public_key or public_key_file, and no secret")
        return self


class Claims(Rules):
    """Which claims say who calls. A claim inside another is reached by a dotted path."""

    tenant: ClaimPath | None = Field(default=None, description="Claim that names the tenant.")
    tenant_fixed: TenantName | None = Field(
        default=None, description="The tenant of all tokens of this issuer, instead of a claim."
    )
    team: ClaimPath | None = Field(default=None, description="Claim that names the team; null for none.")
    team_fixed: TenantName | None = Field(
        default=None, description="The team of all tokens of this issuer, instead of a claim."
    )
    user: ClaimPath | None = Field(default="sub", description="Claim that names the user; null for none.")
    methods: ClaimPath | None = Field(
        default=None, description="Claim with the list of methods a token may call; null: all methods."
    )
    credits_max: ClaimPath | None = Field(
        default=None, description="Claim with the most credits one call may take; null: no such limit."
    )

    @model_validator(mode="after")
    def _one_of_each(self) -> "Claims":
        if (self.tenant is None) == (self.tenant_fixed is None):
            raise refuse("needs either tenant or tenant_fixed")
        if self.team is not None and self.team_fixed is not None:
            raise refuse("takes team or team_fixed, not both")
        return self


class Issuer(Rules):
    """One issuer of tokens."""

    issuer: Text = Field(description="What the tokens' `iss` must be, to the letter.")
    audiences: tuple[Text, ...] = Field(
        min_length=1, max_length=32, description="The tokens' `aud` must hold one of these."
    )
    keys: tuple[Key, ...] = Field(default=(), max_length=64, description="Keys known beforehand.")
    jwks_url: Text | None = Field(default=None, description="URL of the issuer's key set; null for none.")
    claims: Claims = Field(description="Which claims say who calls.")
    leeway_s: Seconds = Field(default=30.0, ge=0, le=300, description="Seconds the issuer's clock may differ.")
    require_typ: bool = Field(default=True, description="Refuse tokens whose header has no fitting `typ`.")

    @field_validator("keys")
    @classmethod
    def _each_kid_once(cls, value: tuple[Key, ...]) -> tuple[Key, ...]:
        _refuse_repeats([key.kid for key in value], "kid")
        return value

    @model_validator(mode="after")
    def _some_key(self) -> "Issuer":
        if not self.keys and self.jwks_url is None:
            raise refuse("no token of it can be verified", "give keys, jwks_url or both")
        return self


class Jwks(Rules):
    """How key sets are fetched."""

    refresh_s: Seconds = Field(
        default=300.0, ge=1, le=300, description="Seconds between two fetches; a removed key is refused within them."
    )
    cooldown_s: Seconds = Field(
        default=30.0,
        ge=1,
        le=300,
        description="Seconds an unknown kid must wait before it causes a fetch; ≤ refresh_s.",
    )
    stale_max_s: Seconds = Field(
        default=86_400.0, le=604_800, description="Seconds an old key set is used while fetching fails; ≥ refresh_s."
    )
    timeout_s: Seconds = Field(default=5.0, gt=0, le=60, description="Seconds for one fetch.")
    allow_http: bool = Field(default=False, description="Allow an http:// jwks_url: for tests only.")

    @field_validator("cooldown_s")
    @classmethod
    def _within_refresh(cls, value: float, known: ValidationInfo) -> float:
        if value > known.data.get("refresh_s", value):
            raise refuse("must be at most refresh_s", "it would keep removed keys in use")
        return value

    @field_validator("stale_max_s")
    @classmethod
    def _outlives_refresh(cls, value: float, known: ValidationInfo) -> float:
        if value < known.data.get("refresh_s", value):
            raise refuse("must be at least refresh_s")
        return value


class Revocations(Rules):
    """How fast a gateway learns which tokens were revoked."""

    poll_s: Seconds = Field(default=0.5, ge=0.05, le=5, description="Seconds between two looks at the list.")
    stale_max_s: Seconds = Field(
        default=5.0, ge=1, le=300, description="Seconds without an answer after which no token is believed; ≥ 2 poll_s."
    )

    @field_validator("stale_max_s")
    @classmethod
    def _outlives_a_poll(cls, value: float, known: ValidationInfo) -> float:
        if value < 2 * known.data.get("poll_s", 0):
            raise refuse("must be at least twice poll_s", "one slow answer would turn everybody away")
        return value


class Identity(Rules):
    """Whose tokens are believed."""

    jwks: Jwks = Field(default_factory=Jwks, description="How key sets are fetched.")
    revocations: Revocations = Field(
        default_factory=Revocations, description="How fast a gateway learns which tokens were revoked."
    )
    issuers: tuple[Issuer, ...] = Field(min_length=1, max_length=64, description="The issuers of tokens.")

    @field_validator("issuers")
    @classmethod
    def _each_once_by_safe_ways(cls, value: tuple[Issuer, ...], known: ValidationInfo) -> tuple[Issuer, ...]:
        _refuse_repeats([issuer.issuer for issuer in value], "issuer")
        jwks = known.data.get("jwks")
        schemes = web_schemes(allow_http=jwks.allow_http if jwks is not None else True)
        for index, issuer in enumerate(value):
            if issuer.jwks_url is not None:
                web_url(issuer.jwks_url, schemes=schemes, at=(index, "jwks_url"))
        return value


def _refuse_repeats(names: list[str], key: str) -> None:
    for index, name in enumerate(names):
        if name in names[:index]:
            raise refuse("is given twice", f"each {key} stands once", at=(index, key))

"""Gathering: the key material that the sound sections refer to, read once, with every fault on the way."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr
from pydantic_core import PydanticCustomError

from gateway.settings.crossing import Found
from gateway.settings.faults import Trail
from gateway.settings.issuers import Issuer, Key, check_public_key
from gateway.settings.secret import SecretError, Secrets, TokenKey, read_public, read_secret, secret_file
from gateway.settings.sections import check_store_url
from gateway.settings.shape import SecretRef

# RFC 7518, 3.2: a key of HS256 is at least as long as its hash.
HS256_SECRET_BYTES_MIN = 32

# Long enough that nobody tries them all.
OPS_TOKEN_BYTES_MIN = 32

_UPSTREAM_KEY: Trail = ("upstream", "key")
_CA_FILES: tuple[Trail, ...] = (("upstream", "ca_file"), ("ledger", "ca_file"))
_OPS_TOKEN: Trail = ("ops", "token")
_LEDGER_URL: Trail = ("ledger", "url")


@dataclass
class Gathered:
    """What was read, and what could not be."""

    secrets: Secrets = field(default_factory=Secrets)
    found: list[Found] = field(default_factory=list)


def gather(sound: Mapping[Trail, object], environ: Mapping[str, str], base_dir: Path) -> Gathered:
    """Read the master key, the store's URL and all keys for tokens that `sound`, by section and key, names."""
    reader = _Reader(environ, base_dir)
    key, url, issuers = (sound.get(trail) for trail in (_UPSTREAM_KEY, _LEDGER_URL, ("identity", "issuers")))
    for trail in _CA_FILES:
        reader.authorities(trail, sound.get(trail))
    token = sound.get(_OPS_TOKEN)
    secrets = Secrets(
        upstream_key=reader.upstream_key(key) if isinstance(key, SecretRef) else None,
        upstream_key_file=secret_file(key, environ, base_dir) if isinstance(key, SecretRef) else None,
        ops_token=reader.ops_token(token) if isinstance(token, SecretRef) else None,
        ledger_url=reader.ledger_url(url),
        token_keys=reader.token_keys(issuers if isinstance(issuers, tuple) else ()),
    )
    return Gathered(secrets, reader.found)


class _Reader:
    def __init__(self, environ: Mapping[str, str], base_dir: Path) -> None:
        self._environ = environ
        self._base_dir = base_dir
        self.found: list[Found] = []

    def authorities(self, trail: Trail, path: object) -> None:
        if isinstance(path, Path) and read_public(self._base_dir / path) is None:
            self._refuse(trail, "names a file that cannot be read")

    def upstream_key(self, ref: SecretRef) -> SecretStr | None:
        key = self._secret(_UPSTREAM_KEY, ref)
        if key is not None and not (key.isascii() and " " not in key):
            self._refuse(_UPSTREAM_KEY, "the key found there has characters no header field can carry")
        return SecretStr(key) if key is not None else None

    def ops_token(self, ref: SecretRef) -> SecretStr | None:
        token = self._secret(_OPS_TOKEN, ref)
        if token is not None and (len(token.encode()) < OPS_TOKEN_BYTES_MIN or not token.isascii() or " " in token):
            message = f"the token found there is not {OPS_TOKEN_BYTES_MIN} or more visible ASCII characters"
            self._refuse(_OPS_TOKEN, message, "take a long random one")
        return SecretStr(token) if token is not None else None

    def ledger_url(self, url: object) -> SecretStr | None:
        if isinstance(url, str):
            return SecretStr(url)
        found = self._secret(_LEDGER_URL, url) if isinstance(url, SecretRef) else None
        if found is None:
            return None
        try:
            return SecretStr(check_store_url(found, password=True))
        except PydanticCustomError:
            self._refuse(_LEDGER_URL, "what is found there is no URL such as redis://host:6379/0")
            return None

    def token_keys(self, issuers: Iterable[Issuer]) -> tuple[TokenKey, ...]:
        keys = []
        for number, issuer in enumerate(issuers):
            for index, key in enumerate(issuer.keys):
                text = self._key_text(("identity", "issuers", number, "keys", index), key)
                if text is not None:
                    secret = SecretStr(text)
                    keys.append(TokenKey(issuer=issuer.issuer, kid=key.kid, algorithm=key.algorithm, text=secret))
        return tuple(keys)

    def _key_text(self, trail: Trail, key: Key) -> str | None:
        if key.secret is not None:
            secret = self._secret((*trail, "secret"), key.secret)
            if secret is not None and len(secret.encode()) < HS256_SECRET_BYTES_MIN:
                message = f"the secret found there is shorter than {HS256_SECRET_BYTES_MIN} bytes"
                self._refuse((*trail, "secret"), message, "take a long random one")
            return secret
        if key.public_key_file is not None:
            return self._public_key((*trail, "public_key_file"), key.public_key_file)
        return key.public_key

    def _public_key(self, trail: Trail, path: Path) -> str | None:
        text = read_public(self._base_dir / path)
        if text is None:
            self._refuse(trail, "names a file that cannot be read")
            return None
        try:
            return check_public_key(text)
        except PydanticCustomError as error:
            words = error.context or {}
            self._refuse(trail, f"what is found there {words['words']}", words["hint"])
            return None

    def _secret(self, trail: Trail, ref: SecretRef) -> str | None:
        try:
            return read_secret(ref, self._environ, self._base_dir)
        except SecretError as error:
            self._refuse(trail, error.message, error.hint)
            return None

    def _refuse(self, trail: Trail, message: str, hint: str = "") -> None:
        self.found.append((trail, message, hint))

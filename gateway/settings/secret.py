"""Secrets: read once at start from the environment or from files nobody else may read; never shown."""

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, SecretStr

from gateway.settings.issuers import Algorithm
from gateway.settings.shape import Rules, SecretRef

SECRET_BYTES_MAX = 65_536

# The group may read: orchestrators mount secrets as root's, readable by the pod's group (mode 440).
_OTHERS = stat.S_IWGRP | stat.S_IXGRP | stat.S_IRWXO
_LINE_END = re.compile(r"\r?\n\Z")


class TokenKey(Rules):
    """One key that tokens are verified with, as text: a shared secret, or a public key in PEM form."""

    issuer: str = Field(description="Whose tokens.")
    kid: str = Field(description="The key's id.")
    algorithm: Algorithm = Field(description="The one algorithm it is used with.")
    text: SecretStr = Field(description="The secret or the PEM text.")


class Secrets(Rules):
    """What was read at start. Prints as asterisks."""

    upstream_key: SecretStr | None = Field(default=None, description="The master key; None when it was not asked for.")
    upstream_key_file: Path | None = Field(
        default=None,
        description="The file it was read from, to be read again when it changes; None for the environment.",
    )
    ops_token: SecretStr | None = Field(default=None, description="The operators' token; None asks for none.")
    ledger_url: SecretStr | None = Field(default=None, description="The store's URL; None runs the bundled store.")
    token_keys: tuple[TokenKey, ...] = Field(default=(), description="All keys known beforehand, of all issuers.")

    @property
    def unprintable(self) -> tuple[str, ...]:
        """What no log line may show: master key, operators' token, secrets that sign tokens."""
        signing = [key.text for key in self.token_keys if key.algorithm == "HS256"]
        found = [secret for secret in (self.upstream_key, self.ops_token, *signing) if secret is not None]
        return tuple(secret.get_secret_value() for secret in found)


class SecretError(Exception):
    """A secret cannot be used. `message` and `hint` name places, never what was found there."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def read_secret(ref: SecretRef, environ: Mapping[str, str], base_dir: Path) -> str:
    """The secret that `ref` names: the environment's, else the file's. One line end behind it is cut off.

    Args:
        ref: where to look; a relative file counts from `base_dir`.
        environ: the environment's variables.
        base_dir: usually the working directory.

    Raises:
        SecretError: found nowhere, empty, not one line of text, differing between variable and file, or in
            a file that others may read.
    """
    path = base_dir / ref.file if ref.file is not None else None
    from_env = environ.get(ref.env) if ref.env is not None else None
    from_file = _read_private(path) if path is not None else None
    given = _checked(from_env, f"the variable {ref.env}") if from_env is not None else None
    kept = _checked(from_file, f"the file {path}") if from_file is not None else None
    if given is not None and kept is not None and given != kept:
        raise SecretError(f"the variable {ref.env} and the file {path} differ", "remove one of them")
    found = given if given is not None else kept
    if found is None:
        places = [f"set the variable {ref.env}"] if ref.env is not None else []
        places += [f"write the file {path} (mode 600)"] if path is not None else []
        raise SecretError("the secret is missing", " or ".join(places))
    return found


def secret_file(ref: SecretRef, environ: Mapping[str, str], base_dir: Path) -> Path | None:
    """The file that alone says what `ref` is; None when the environment says it, which cannot change."""
    if ref.file is None or (ref.env is not None and ref.env in environ):
        return None
    return base_dir / ref.file


def read_public(path: Path) -> str | None:
    """The text of a file that is no secret, at most SECRET_BYTES_MAX bytes; None when it cannot be read."""
    try:
        with path.open("rb") as stream:
            content = stream.read(SECRET_BYTES_MAX + 1)
        return content.decode() if len(content) <= SECRET_BYTES_MAX else None
    except (OSError, ValueError):
        return None


def _checked(text: str, place: str) -> str:
    secret = _LINE_END.sub("", text, count=1)
    if not secret:
        raise SecretError(f"{place} is empty", "fill it, or remove it")
    if not secret.isprintable() or secret != secret.strip():
        raise SecretError(f"{place} holds more than one line of text", "no line breaks, no spaces at the ends")
    return secret


def _read_private(path: Path) -> str | None:
    """The text of the file at `path`; None when there is none."""
    try:
        # Opened first and then looked at, so that what is judged is what is read; a pipe must not block.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        try:
            _refuse_open_to_others(path, os.fstat(descriptor).st_mode)
            content = os.read(descriptor, SECRET_BYTES_MAX + 1)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        raise SecretError(f"the file {path} cannot be read", "look at its owner and permissions") from None
    if len(content) > SECRET_BYTES_MAX:
        raise SecretError(f"the file {path} is larger than {SECRET_BYTES_MAX} bytes", "name another file")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise SecretError(f"the file {path} is not UTF-8 text", "write the secret as text") from None


def _refuse_open_to_others(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise SecretError(f"{path} is not a regular file", "name a file")
    if os.name == "posix" and mode & _OTHERS:
        raise SecretError(f"others may read the file {path}", f"chmod 600 {path}")

"""Secrets: found in a variable or a private file, refused when in doubt, and never shown."""

import os
import traceback
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.settings import SecretError, SecretRef, Settings, SettingsError, load_settings, read_secret
from tests.unit.settings.files import ENVIRON, GATEWAY, MASTER_KEY, TOKEN_SECRET, changed, load, only_fault, write

BOTH = SecretRef(env="KEY", file=Path("key"))


def kept(directory: Path, content: bytes, mode: int = 0o600) -> Path:
    path = directory / "key"
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("environ", "content", "secret"),
    [
        ({"KEY": "abc"}, None, "abc"),
        ({"KEY": "abc\n"}, None, "abc"),
        ({}, b"abc", "abc"),
        ({}, b"abc\n", "abc"),
        ({}, b"abc\r\n", "abc"),
        ({"KEY": "abc"}, b"abc\n", "abc"),
        ({"KEY": "abc\r\n"}, b"abc", "abc"),
        ({"OTHER": "x"}, "schlüssel".encode(), "schlüssel"),
    ],
)
def test_a_secret_is_read_without_its_one_line_end(
    tmp_path: Path, environ: dict[str, str], content: bytes | None, secret: str
) -> None:
    if content is not None:
        kept(tmp_path, content)
    assert read_secret(BOTH, environ, tmp_path) == secret


@pytest.mark.parametrize(
    ("environ", "content", "message", "hint"),
    [
        ({}, None, "missing", "variable KEY or write the file"),
        ({"KEY": ""}, None, "variable KEY is empty", "fill it"),
        ({"KEY": ""}, b"abc", "variable KEY is empty", "fill it"),
        ({"KEY": "abc"}, b"", "is empty", "fill it"),
        ({}, b"\n", "is empty", "fill it"),
        ({}, b"\r\n", "is empty", "fill it"),
        ({}, b"abc\n\n", "more than one line", "no line breaks"),
        ({}, b"abc\r\n\r\n", "more than one line", "no line breaks"),
        ({}, b"abc ", "more than one line", "no spaces at the ends"),
        ({"KEY": "a\0b"}, None, "more than one line", "no line breaks"),
        ({"KEY": "abc"}, b"abd", "differ", "remove one"),
        ({}, b"\xff\xfe", "not UTF-8", "as text"),
        ({}, b"a" * 65_537, "larger than", "another file"),
    ],
)
def test_a_doubtful_secret_is_refused_without_being_shown(
    tmp_path: Path, environ: dict[str, str], content: bytes | None, message: str, hint: str
) -> None:
    if content is not None:
        kept(tmp_path, content)
    with pytest.raises(SecretError, match=message) as refused:
        read_secret(BOTH, environ, tmp_path)
    assert hint in refused.value.hint
    assert "abc" not in f"{refused.value!r} {refused.value.hint}"
    assert refused.value.__cause__ is None


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o660, 0o610, 0o601, 0o666])
def test_a_file_others_may_touch_is_refused_with_the_command_that_mends_it(tmp_path: Path, mode: int) -> None:
    path = kept(tmp_path, b"abc", mode)
    for environ in ({}, {"KEY": "abc"}):
        with pytest.raises(SecretError, match="others may read") as refused:
            read_secret(BOTH, environ, tmp_path)
        assert refused.value.hint == f"chmod 600 {path}"


@pytest.mark.parametrize("mode", [0o400, 0o440, 0o600, 0o640, 0o700])
def test_a_file_that_owner_and_at_most_group_may_read_is_read(tmp_path: Path, mode: int) -> None:
    kept(tmp_path, b"abc", mode)
    assert read_secret(BOTH, {}, tmp_path) == "abc"


def test_what_is_no_regular_file_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    (tmp_path / "key").mkdir()
    with pytest.raises(SecretError, match="not a regular file"):
        read_secret(BOTH, {}, tmp_path)
    (tmp_path / "key").rmdir()
    os.mkfifo(tmp_path / "key", 0o600)
    with pytest.raises(SecretError, match="not a regular file"):
        read_secret(BOTH, {}, tmp_path)


def test_a_missing_secret_names_variable_and_file_at_its_place(tmp_path: Path) -> None:
    secret = "{env: GATEWAY_TOKEN_SECRET, file: token.secret}"
    text = changed(GATEWAY, "{env: GATEWAY_TOKEN_SECRET}", secret)
    fault = only_fault(write(tmp_path, gateway=text), {"DEZGO_API_KEY": "x"})
    assert (fault.line, fault.where) == (15, "identity.issuers[0].keys[0].secret")
    assert "GATEWAY_TOKEN_SECRET" in fault.hint
    assert str(tmp_path / "token.secret") in fault.hint


def test_a_short_token_secret_and_a_master_key_no_header_carries_are_refused(tmp_path: Path) -> None:
    write(tmp_path)
    short = only_fault(tmp_path, {**ENVIRON, "GATEWAY_TOKEN_SECRET": "s" * 31})
    assert "shorter than 32 bytes" in short.message
    assert "header" in only_fault(tmp_path, {**ENVIRON, "DEZGO_API_KEY": "schlüssel"}).message


def test_nothing_is_read_when_no_secrets_are_required(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path), {}, require_secrets=False, base_dir=tmp_path)
    assert (settings.secrets.upstream_key, settings.secrets.token_keys) == (None, ())


def test_the_store_url_comes_from_either_place_and_may_hold_its_password_in_secret(tmp_path: Path) -> None:
    open_url = changed(GATEWAY, "  fsync: everysec", "  url: redis://store/1")
    hidden = changed(GATEWAY, "  fsync: everysec", "  url: {env: STORE}")
    first = load(write(tmp_path, gateway=open_url)).secrets.ledger_url
    second = load(write(tmp_path, gateway=hidden), {**ENVIRON, "STORE": "redis://:pw@store/1"}).secrets.ledger_url
    assert first is not None
    assert second is not None
    assert (first.get_secret_value(), second.get_secret_value()) == ("redis://store/1", "redis://:pw@store/1")
    wrong = only_fault(tmp_path, {**ENVIRON, "STORE": "http://:pw@store"})
    assert (wrong.where, "pw" in str(wrong)) == ("ledger.url", False)


def test_public_keys_come_from_the_file_or_from_beside_it(tmp_path: Path) -> None:
    public = Ed25519PrivateKey.generate().public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    (tmp_path / "public.pem").write_text(pem)
    inline = "\n            ".join(["|", *pem.splitlines()])
    old = "algorithm: HS256\n          secret: {env: GATEWAY_TOKEN_SECRET}"
    for new in (f"public_key: {inline}", "public_key_file: public.pem"):
        text = changed(GATEWAY, old, f"algorithm: EdDSA\n          {new}")
        (key,) = load(write(tmp_path, gateway=text)).secrets.token_keys
        assert (key.issuer, key.kid, key.algorithm) == ("me", "local", "EdDSA")
        assert key.text.get_secret_value() == pem
    (tmp_path / "public.pem").write_text("-----BEGIN PRIVATE KEY-----\n")
    assert "is a private key" in only_fault(tmp_path).message
    (tmp_path / "public.pem").unlink()
    assert only_fault(tmp_path).message == "names a file that cannot be read"


def shown(settings: Settings) -> str:
    return " ".join(
        [repr(settings), str(settings), repr(settings.model_dump()), settings.model_dump_json(), f"{settings.secrets}"]
    )


def test_no_secret_is_ever_shown_by_loaded_settings(tmp_path: Path) -> None:
    text = changed(GATEWAY, "  fsync: everysec", "  url: {env: STORE}")
    settings = load(write(tmp_path, gateway=text), {**ENVIRON, "STORE": "redis://:hushpw@store"})
    assert settings.secrets.upstream_key is not None
    assert settings.secrets.upstream_key.get_secret_value() == MASTER_KEY
    for secret in (MASTER_KEY, TOKEN_SECRET, "hushpw"):
        assert secret not in shown(settings)
    assert "**********" in shown(settings)


def test_no_secret_or_value_is_shown_by_a_refusal_or_its_traceback(tmp_path: Path) -> None:
    text = GATEWAY.replace("port: 8080", "port: pasted-key").replace("level: info", 'level: "pasted-key"')
    text = text.replace("{env: GATEWAY_TOKEN_SECRET}", "pasted-key").replace("me\n", "{pasted: 1}\n")
    text = text.replace("flavour: direct", "url: https://u:pasted-key@h").replace("everysec", "[pasted-key]")
    with pytest.raises(SettingsError) as refused:
        load(write(tmp_path, gateway=text))
    told = "".join(traceback.format_exception(refused.value)) + repr(refused.value)
    assert "pasted-key" not in told
    assert MASTER_KEY not in told
    assert TOKEN_SECRET not in told

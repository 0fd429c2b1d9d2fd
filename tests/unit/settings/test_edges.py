"""Settings of the doors: metrics are never open to a network by oversight, and no secret of theirs is shown."""

from pathlib import Path

import pytest

from tests.unit.settings.files import ENVIRON, GATEWAY, changed, faults, load, write

TOKEN = "0123456789abcdef0123456789abcdef"
OPEN = "ops: {host: 0.0.0.0%s}\nlisten:"


def configured(tmp_path: Path, more: str) -> Path:
    return write(tmp_path, gateway=changed(GATEWAY, "listen:", OPEN % more))


@pytest.mark.parametrize(
    ("more", "token", "wrong"),
    [
        ("", None, "metrics need ops.token"),
        (", token: {env: OPS_TOKEN}", None, "the secret is missing"),
        (", token: {env: OPS_TOKEN}", TOKEN[:-1], "32 or more visible ASCII"),
        (", token: {env: OPS_TOKEN}", "ä" * 40, "32 or more visible ASCII"),
        (", token: {env: OPS_TOKEN}", f"{TOKEN} {TOKEN}", "32 or more visible ASCII"),
    ],
)
def test_an_address_of_a_network_needs_a_token_nobody_guesses(
    tmp_path: Path, more: str, token: str | None, wrong: str
) -> None:
    environ = ENVIRON | ({"OPS_TOKEN": token} if token is not None else {})
    (fault,) = faults(configured(tmp_path, more), environ)
    assert wrong in fault.message
    assert token is None or token not in repr(fault)


def test_a_token_or_a_declared_closed_network_will_do(tmp_path: Path) -> None:
    settings = load(configured(tmp_path, ", token: {env: OPS_TOKEN}"), ENVIRON | {"OPS_TOKEN": TOKEN})
    assert settings.secrets.ops_token is not None
    assert settings.secrets.ops_token.get_secret_value() == TOKEN
    assert TOKEN not in repr(settings)
    assert TOKEN in settings.secrets.unprintable
    assert load(configured(tmp_path, ", allow_open: true"), ENVIRON).secrets.ops_token is None


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "'::1'", "localhost"])
def test_loopback_needs_none(tmp_path: Path, host: str) -> None:
    text = changed(GATEWAY, "listen:", f"ops: {{host: {host}}}\nlisten:")
    assert load(write(tmp_path, gateway=text), ENVIRON).secrets.ops_token is None


def test_the_keys_file_is_followed_only_where_the_environment_does_not_say_the_key(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(ENVIRON["DEZGO_API_KEY"])
    path.chmod(0o600)
    text = changed(GATEWAY, "  flavour: direct", f'  key: {{env: DEZGO_API_KEY, file: "{path}"}}')
    directory = write(tmp_path, gateway=text)
    assert load(directory, ENVIRON).secrets.upstream_key_file is None
    without = {name: value for name, value in ENVIRON.items() if name != "DEZGO_API_KEY"}
    assert load(directory, without).secrets.upstream_key_file == path


def test_the_stores_authorities_must_be_readable(tmp_path: Path) -> None:
    text = changed(GATEWAY, "  fsync: everysec", f'  url: rediss://store:6380/0\n  ca_file: "{tmp_path}/none.pem"')
    (fault,) = faults(write(tmp_path, gateway=text))
    assert (fault.where, fault.message) == ("ledger.ca_file", "names a file that cannot be read")

"""Environment variables replace single values of `gateway.yaml`; what looks like one and names nothing is refused."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gateway.settings import SecretRef, SettingsError
from gateway.units import Credits
from tests.unit.settings.files import ENVIRON, GATEWAY, changed, load, only_fault, write

PREFIX = "DEZGO_GATEWAY__"


@pytest.mark.parametrize(
    ("name", "text", "section", "key", "value"),
    [
        ("LISTEN__PORT", "9000", "listen", "port", 9000),
        ("LISTEN__HOST", "no", "listen", "host", "no"),
        ("LISTEN__HOST", "010", "listen", "host", "010"),
        ("OPS__PORT", "0", "ops", "port", 0),
        ("UPSTREAM__FLAVOUR", "rapidapi", "upstream", "flavour", "rapidapi"),
        ("UPSTREAM__CA_FILE", "", "upstream", "ca_file", None),
        ("UPSTREAM__FLOOR_CREDITS", "12.5", "upstream", "floor_credits", Credits(12_500)),
        ("UPSTREAM__USD_PER_CREDIT", "0.00009", "upstream", "usd_per_credit", 0.00009),
        ("LEDGER__DEADLINE_S", "0.25", "ledger", "deadline_s", 0.25),
        ("LEDGER__URL", "redis://store:6379/0", "ledger", "url", "redis://store:6379/0"),
        ("LEDGER__ALLOW_UNSAFE_STORE", "true", "ledger", "allow_unsafe_store", True),
    ],
)
def test_a_variable_replaces_one_value(
    tmp_path: Path, name: str, text: str, section: str, key: str, value: object
) -> None:
    settings = load(write(tmp_path), {**ENVIRON, PREFIX + name: text})
    assert getattr(getattr(settings, section), key) == value


def test_a_variable_reaches_into_groups_and_leaves_their_other_keys(tmp_path: Path) -> None:
    environ = {**ENVIRON, f"{PREFIX}IDENTITY__JWKS__REFRESH_S": "60", f"{PREFIX}UPSTREAM__KEY__ENV": "OTHER"}
    settings = load(write(tmp_path), {**environ, "OTHER": "another-key"})
    assert settings.identity.jwks.refresh_s == 60.0
    assert settings.identity.issuers[0].issuer == "me"
    assert settings.upstream.key == SecretRef(env="OTHER")
    assert settings.secrets.upstream_key is not None
    assert settings.secrets.upstream_key.get_secret_value() == "another-key"


def test_a_variable_wins_over_a_wrong_value_of_another_shape(tmp_path: Path) -> None:
    text = changed(GATEWAY, "  fsync: everysec", "  url: redis://old")
    environ = {**ENVIRON, f"{PREFIX}LEDGER__URL__ENV": "STORE", "STORE": "redis://:pw@new"}
    assert load(write(tmp_path, gateway=text), environ).ledger.url == SecretRef(env="STORE")


@pytest.mark.parametrize(
    ("name", "text", "where", "message", "hint"),
    [
        ("DEZGO_GATEWAY__LISTEN__PRT", "1", "DEZGO_GATEWAY__LISTEN__PRT", "overrides no setting", "LISTEN__PORT`"),
        ("DEZGO_GATEWAY__LISTEN", "1", "DEZGO_GATEWAY__LISTEN", "overrides no setting", "LISTEN__"),
        ("DEZGO_GATEWAY__", "1", "DEZGO_GATEWAY__", "overrides no setting", ""),
        ("DEZGO_GATEWAY_LISTEN__PORT", "1", "DEZGO_GATEWAY_LISTEN__PORT", "overrides no setting", "Y__LISTEN__PORT`"),
        ("dezgo_gateway__listen__port", "1", "dezgo_gateway__listen__port", "overrides no setting", "LISTEN__PORT`"),
        ("DEZGO_GATEWAY__IDENTITY__ISSUERS", "[]", "DEZGO_GATEWAY__IDENTITY__ISSUERS", "overrides no", "lists are set"),
        ("DEZGO_GATEWAY__LISTEN__PORT", "9O00", "listen.port", "letter", "set by DEZGO_GATEWAY__LISTEN__PORT"),
        ("DEZGO_GATEWAY__LISTEN__PORT", "1e3", "listen.port", "exponent", "set by DEZGO_GATEWAY__LISTEN__PORT"),
        ("DEZGO_GATEWAY__LISTEN__PORT", "65536", "listen.port", "at most 65535", "set by DEZGO_GATEWAY__LISTEN__PORT"),
        ("DEZGO_GATEWAY__LISTEN__PORT", "port", "listen.port", "a whole number", "set by DEZGO_GATEWAY__LISTEN__PORT"),
        (
            "DEZGO_GATEWAY__LEDGER__ALLOW_UNSAFE_STORE",
            "yes",
            "ledger.allow_unsafe_store",
            "truth value",
            "set by DEZGO_",
        ),
        ("DEZGO_GATEWAY__LOGS__LEVEL", "loud", "logs.level", "must be 'debug'", "set by DEZGO_GATEWAY__LOGS__LEVEL"),
        ("DEZGO_GATEWAY__LEDGER__HOLD_TTL_S", "5", "ledger.hold_ttl_s", "at least 625", "set by DEZGO_GATEWAY__LEDGER"),
    ],
)
def test_a_wrong_variable_is_refused_by_name_without_its_value(
    tmp_path: Path, name: str, text: str, where: str, message: str, hint: str
) -> None:
    fault = only_fault(write(tmp_path), {**ENVIRON, name: text})
    assert (fault.file, fault.line, fault.where) == ("environment", 0, where)
    assert message in fault.message
    assert hint in fault.hint


def test_a_whole_and_its_part_cannot_both_be_replaced(tmp_path: Path) -> None:
    environ = {f"{PREFIX}LEDGER__URL": "redis://a", f"{PREFIX}LEDGER__URL__ENV": "STORE"}
    fault = only_fault(write(tmp_path), {**ENVIRON, **environ})
    assert (fault.where, fault.message) == ("ledger.url.env", "is also set as a whole by another variable")


def test_variables_of_others_are_left_alone(tmp_path: Path) -> None:
    environ = {**ENVIRON, "DEZGO_GATEWAY_CONFIG": "x", "PATH": "/bin", "DEZGO__X": "1"}
    assert load(write(tmp_path), environ).listen.port == 8080


def test_a_value_that_is_no_number_never_appears_in_a_fault(tmp_path: Path) -> None:
    fault = only_fault(write(tmp_path), {**ENVIRON, f"{PREFIX}LISTEN__PORT": "hush-hush"})
    assert "hush" not in str(fault)


_NAMES = st.sampled_from(["LISTEN__PORT", "LISTEN__HOST", "LEDGER__URL", "UPSTREAM__URL", "LEDGER__DEADLINE_S", "X__Y"])


@given(st.dictionaries(_NAMES, st.text(max_size=12), max_size=4))
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
def test_no_value_of_any_variable_ends_otherwise_than_loaded_or_refused(tmp_path: Path, values: dict[str, str]) -> None:
    environ = {**ENVIRON, **{PREFIX + name: text for name, text in values.items()}}
    with contextlib.suppress(SettingsError):
        settings = load(write(tmp_path), environ)
        assert settings.listen.host == values.get("LISTEN__HOST", "127.0.0.1")
        assert str(settings.listen.port) == values.get("LISTEN__PORT", "8080")

"""`gateway.yaml`: each mistake is laid to its line and column, with the way out; several are told at once."""

from pathlib import Path

import pytest

from gateway.messages import Flavour
from gateway.settings import SecretRef, crossing
from tests.tools import need_package
from tests.unit.settings.files import ENVIRON, GATEWAY, changed, faults, load, marked, only_fault, write

ISSUER_KEY = "        - kid: local\n"
PUBLIC = "-----BEGIN PUBLIC KEY-----\\nMAo=\\n-----END PUBLIC KEY-----\\n"

# What is changed, into what (§: where the fault must stand), its key path, the message, the hint.
MISTAKES = [
    ("  port: 8080", "  §prt: 8080", "listen.prt", "is not a known key", "did you mean `port`?"),
    ("  drain_s: 25", "  §drain_ms: 25000", "shutdown.drain_ms", "is not a known key", "did you mean `drain_s`?"),
    ("shutdown:", "§shutdwon:", "shutdwon", "is not a known key", "did you mean `shutdown`?"),
    (
        "        - kid:",
        "        - §kidd: x\n          kid:",
        "identity.issuers[0].keys[0].kidd",
        "not a known key",
        "`kid`",
    ),
    ("  port: 8080", "  port: §1O00", "listen.port", "a letter stands among the digits", "digits only"),
    ("  port: 8080", "  port: §-1", "listen.port", "must be at least 0", ""),
    ("  port: 8080", "  port: §65536", "listen.port", "must be at most 65535", ""),
    ("  port: 8080", '  port: §"8080"', "listen.port", "must be a whole number", "without quotes"),
    ("  port: 8080", "  port: §80.5", "listen.port", "must be a whole number", "digits alone"),
    ("  port: 8080", "  port: §true", "listen.port", "must be a whole number", "digits alone"),
    ("  port: 8080", "  port:§", "listen.port", "must be a whole number", "digits alone"),
    ("  port: 8080", "  port: 1\n  §port: 2", "listen.port", "the key is given twice", "the first is in line 3"),
    ("  host: 127.0.0.1", "  host: §5", "listen.host", "must be text", "in quotes"),
    ("  host: 127.0.0.1", '  host: §""', "listen.host", "must not be empty", ""),
    ("  host: 127.0.0.1", '  host: §" x"', "listen.host", "without spaces at its ends", ""),
    ("  hold_ttl_s: 900", "  hold_ttl_s: §900s", "ledger.hold_ttl_s", "without a unit", "_s: seconds"),
    ("  hold_ttl_s: 900", "  hold_ttl_s: §900000", "ledger.hold_ttl_s", "must be at most 604800", ""),
    ("  hold_ttl_s: 900", "  hold_ttl_s: §624", "ledger.hold_ttl_s", "must be at least 625", ""),
    (
        "  flavour: direct",
        "  connections_max: 5\n  calls_at_once: §6",
        "upstream.calls_at_once",
        "must be at most connections_max",
        "a connection of its own",
    ),
    ("  flavour: direct", "  calls_at_once: §0", "upstream.calls_at_once", "must be at least 1", ""),
    ("  flavour: direct", "  queue_wait_s: §0", "upstream.queue_wait_s", "must be more than 0", ""),
    ("  flavour: direct", "  queue_max: §-1", "upstream.queue_max", "must be at least 0", ""),
    ("  hold_ttl_s: 900", "  §hold_ttl: 900", "ledger.hold_ttl", "is not a known key", "`hold_ttl_s`"),
    ("  fsync: everysec", "  fsync: §evrysec", "ledger.fsync", "'everysec' or 'always'", "did you mean `everysec`?"),
    ("  fsync: everysec", "  fsync: §no", "ledger.fsync", "truth value", "put it in quotes"),
    ("  fsync: everysec", "  url: §redis://:pw@host", "ledger.url", "must not hold a password", "{env: …}"),
    ("  fsync: everysec", "  url: §redis://h?password=x", "ledger.url", "must not hold a password", "{env: …}"),
    ("  fsync: everysec", "  url: §http://host", "ledger.url", "must be a URL such as redis", "rediss://"),
    ("  fsync: everysec", "  url: §redis://h:x", "ledger.url", "must be a URL such as redis", "rediss://"),
    ("  fsync: everysec", "  url: §{}", "ledger.url", "names no place for the secret", "give env, file or both"),
    ("  fsync: everysec", "  url: {§evn: X}", "ledger.url.evn", "is not a known key", "`env`"),
    ("  fsync: everysec", "  data_dir: §5", "ledger.data_dir", "must be a file's path", ""),
    ("  fsync: everysec", "  deadline_s: §0", "ledger.deadline_s", "must be more than 0", ""),
    ("  flavour: direct", "  flavour: §rapid", "upstream.flavour", "'direct' or 'rapidapi'", "`rapidapi`"),
    ("  flavour: direct", "  url: §http://host", "upstream.url", "must begin with https://", "allow_http"),
    ("  flavour: direct", "  url: §https://u:p@host", "upstream.url", "no user, query or fragment", ""),
    ("  flavour: direct", "  url: §https://host/v1", "upstream.url", "must have no path", ""),
    ("  flavour: direct", "  url: §https://127.0.0.1", "upstream.url", "loopback or private", "allow_private"),
    ("  flavour: direct", "  url: §https://[::ffff:10.0.0.1]", "upstream.url", "loopback or private", "allow_private"),
    ("  flavour: direct", "  url: §https://169.254.169.254", "upstream.url", "loopback or private", "allow_private"),
    ("  flavour: direct", "  url: §https://localhost", "upstream.url", "loopback or private", "allow_private"),
    ("  flavour: direct", "  url: §https://[host", "upstream.url", "must be a URL", ""),
    ("  flavour: direct", "  url: §https://host:99999", "upstream.url", "must be a URL", ""),
    ("  flavour: direct", "  key: §DEZGO-ABC", "upstream.key", "must be a mapping of keys to values", ""),
    ("  flavour: direct", "  key: {env: §DEZGO-ABC}", "upstream.key.env", "an environment variable's name", ""),
    ("  head_timeout_s: 180", "  floor_credits: §-1", "upstream.floor_credits", "must not be negative", ""),
    ("  head_timeout_s: 180", "  usd_per_credit: §0", "upstream.usd_per_credit", "must be more than 0", ""),
    ("  head_timeout_s: 180", "  floor_credits: §0.0001", "upstream.floor_credits", "finer than a thousandth", ""),
    ("  head_timeout_s: 180", "  exhausted_s: §0", "upstream.exhausted_s", "more than 0", ""),
    ("  head_timeout_s: 180", "  head_timeout_s: §301", "upstream.head_timeout_s", "at most total_timeout_s", ""),
    ("listen:", "ops: {host: §0.0.0.0}\nlisten:", "ops.host", "metrics need ops.token", "ops.allow_open"),
    ("  port: 8080", "  trusted_proxies: [§'10.0.0.1/8']", "listen.trusted_proxies[0]", "an address or a network", ""),
    ("  port: 8080", "  cors_origins: [§'*']", "listen.cors_origins[0]", "an origin such as", ""),
    ("  port: 8080", "  cors_origins: [§https://a.test/]", "listen.cors_origins[0]", "an origin such as", ""),
    ("listen:", "ops: {port: §8080}\nlisten:", "ops.port", "must differ from listen.port", "administration"),
    ("listen:", "bodies: {in_flight_bytes_max: §9}\nlisten:", "bodies.in_flight_bytes_max", "at least 524288", ""),
    (
        "listen:",
        "bodies: {memory_bytes_max: 600000, in_flight_bytes_max: §524288}\nlisten:",
        "bodies.in_flight_bytes_max",
        "at least memory_bytes_max",
        "",
    ),
    ("listen:", "bodies: {spool_bytes_max: §9}\nlisten:", "bodies.spool_bytes_max", "at least bytes_max", ""),
    ("listen:", "bodies: {bytes_per_s_min: §0}\nlisten:", "bodies.bytes_per_s_min", "at least 1", ""),
    ("listen:", "answers: {bytes_per_s_min: §0}\nlisten:", "answers.bytes_per_s_min", "at least 1", ""),
    ("  port: 8080", "  connections_max: §0", "listen.connections_max", "at least 1", ""),
    ("  port: 8080", "  request_timeout_s: §359", "listen.request_timeout_s", "must be at least 360", ""),
    ("listen:", "idempotency: {kept_s: §86399}\nlisten:", "idempotency.kept_s", "must be at least 86400", ""),
    ("listen:", "idempotency: {kept_s: §604801}\nlisten:", "idempotency.kept_s", "must be at most 604800", ""),
    (
        "  hold_ttl_s: 900",
        "  hold_ttl_s: 90000\nidempotency:\n  kept_s: §86400",
        "idempotency.kept_s",
        "hold_ttl_s",
        "",
    ),
    ("  level: info", "  level: §INFO", "logs.level", "must be 'debug'", ""),
    ("unsafe_store: false", "unsafe_store: §no", "ledger.allow_unsafe_store", "truth value", "true or false"),
    ("unsafe_store: false", "unsafe_store: §0", "ledger.allow_unsafe_store", "must be true or false", "without quotes"),
    ("logs:\n  level: info\n", "logs: §loud\n", "logs", "must be a mapping", ""),
    (
        "      audiences: [gateway]",
        "      audiences: §gateway",
        "identity.issuers[0].audiences",
        "must be a list",
        "dash",
    ),
    ("      audiences: [gateway]", "      audiences: §[]", "identity.issuers[0].audiences", "needs at least 1", ""),
    ("      audiences: [gateway]\n", "", "identity.issuers[0].audiences", "is missing", ""),
    ("algorithm: HS256", "algorithm: §none", "identity.issuers[0].keys[0].algorithm", "must be 'HS256'", ""),
    ("algorithm: HS256", "algorithm: RS256", "identity.issuers[0].keys[0]", "a key for RS256 needs public_key", ""),
    (ISSUER_KEY, f'{ISSUER_KEY}          public_key: "{PUBLIC}"\n', "identity.issuers[0].keys[0]", "no public key", ""),
    ("{env: GATEWAY_TOKEN_SECRET}", "§hush", "identity.issuers[0].keys[0].secret", "must be a mapping", ""),
    ("{tenant: tenant, ", "§{", "identity.issuers[0].claims", "needs either tenant or tenant_fixed", ""),
    ("{tenant: tenant,", "§{tenant_fixed: labs, tenant: t,", "identity.issuers[0].claims", "needs either tenant", ""),
    ("team: team", "team: §a..b", "identity.issuers[0].claims.team", "names joined by dots", ""),
    ("tenant: tenant,", "tenant_fixed: §lab,", "identity.issuers[0].claims.tenant_fixed", "names no tenant", "`labs`"),
    (
        "{tenant: tenant, team: team}",
        "{tenant_fixed: studio, team_fixed: §add}",
        "identity.issuers[0].claims.team_fixed",
        "names no team",
        "`ads`",
    ),
    (
        "      claims:",
        "      jwks_url: §http://host/keys\n      claims:",
        "identity.issuers[0].jwks_url",
        "must begin with https://",
        "allow_http",
    ),
    (
        "  issuers:",
        "  jwks: {refresh_s: 60, stale_max_s: §5}\n  issuers:",
        "identity.jwks.stale_max_s",
        "must be at least refresh_s",
        "",
    ),
    (
        "  issuers:",
        "  jwks: {refresh_s: 60, cooldown_s: §61}\n  issuers:",
        "identity.jwks.cooldown_s",
        "must be at most refresh_s",
        "removed keys",
    ),
    ("  issuers:", "  jwks: {refresh_s: §301}\n  issuers:", "identity.jwks.refresh_s", "at most 300", ""),
    (
        "  issuers:",
        "  revocations: {poll_s: 3, stale_max_s: §5}\n  issuers:",
        "identity.revocations.stale_max_s",
        "must be at least twice poll_s",
        "everybody",
    ),
]


@pytest.mark.parametrize(("old", "new", "where", "message", "hint"), MISTAKES)
def test_a_mistake_is_laid_to_its_place_with_the_way_out(
    tmp_path: Path, old: str, new: str, where: str, message: str, hint: str
) -> None:
    text = changed(GATEWAY, old, new)
    fault = only_fault(write(tmp_path, gateway=text))
    assert fault.where == where
    assert message in fault.message
    assert hint in fault.hint
    assert fault.file == str(tmp_path / "gateway.yaml")
    if "§" in new:
        assert (fault.line, fault.column) == marked(text)


def test_a_key_that_stands_twice_in_a_list_of_keys_is_refused(tmp_path: Path) -> None:
    entry = GATEWAY[GATEWAY.index(ISSUER_KEY) : GATEWAY.index("      claims:")]
    fault = only_fault(write(tmp_path, gateway=changed(GATEWAY, entry, entry + entry)))
    assert (fault.where, fault.message) == ("identity.issuers[0].keys[1].kid", "is given twice")


def test_a_private_key_in_the_file_is_refused_and_not_repeated(tmp_path: Path) -> None:
    pem = '"-----BEGIN PRIVATE KEY-----\\nMAoSECRET=\\n-----END PRIVATE KEY-----"'
    text = changed(GATEWAY, "algorithm: HS256", f"algorithm: EdDSA\n          public_key: {pem}")
    fault = only_fault(write(tmp_path, gateway=text))
    assert fault.message == "is a private key"
    assert "MAoSECRET" not in str(fault)


def test_a_hold_outlives_the_wait_for_a_turn_where_there_is_a_queue(tmp_path: Path) -> None:
    text = changed(GATEWAY, "hold_ttl_s: 900", "hold_ttl_s: 640")
    load(write(tmp_path, gateway=changed(text, "  flavour: direct", "  queue_wait_s: 600")))
    load(write(tmp_path, gateway=changed(text, "  flavour: direct", "  calls_at_once: 5")))
    fault = only_fault(
        write(tmp_path, gateway=changed(text, "  flavour: direct", "  calls_at_once: 5\n  queue_wait_s: 20"))
    )
    assert fault.where == "ledger.hold_ttl_s"
    assert "must be at least 645" in fault.message
    assert "plus upstream.queue_wait_s" in fault.message


def test_faults_of_all_three_files_and_the_environment_are_told_at_once(tmp_path: Path) -> None:
    text = GATEWAY.replace("  port: 8080", "  prt: 1").replace("head_timeout_s: 180", "head_timeout_s: 1e3")
    text = text.replace("hold_ttl_s: 900", "hold_ttl_s: 5").replace("level: info", "level: loud")
    write(tmp_path, gateway=text)
    (tmp_path / "tenants.yaml").write_text("tenants: {Labs: {budgets: []}}")
    (tmp_path / "tariff.yaml").write_text("version: 2026-07-17\nrates: {}\nmethods: {}\n")
    found = faults(tmp_path, {"DEZGO_GATEWAY__LOGS__LEVLE": "info"})
    assert [(Path(fault.file).name, fault.line, fault.where) for fault in found] == [
        ("environment", 0, "DEZGO_GATEWAY__LOGS__LEVLE"),
        ("gateway.yaml", 3, "listen.prt"),
        ("gateway.yaml", 4, "upstream.key"),
        ("gateway.yaml", 6, "upstream.head_timeout_s"),
        ("gateway.yaml", 15, "identity.issuers[0].keys[0].secret"),
        ("gateway.yaml", 20, "ledger.hold_ttl_s"),
        ("gateway.yaml", 24, "logs.level"),
        ("tariff.yaml", 1, "version"),
        ("tariff.yaml", 2, "rates"),
        ("tariff.yaml", 3, "methods"),
        ("tenants.yaml", 1, "tenants.Labs"),
        ("tenants.yaml", 1, "tenants.Labs.budgets"),
    ]


def test_a_fault_in_a_section_hides_no_other_of_the_same_section(tmp_path: Path) -> None:
    text = GATEWAY.replace("flavour: direct", "flavour: rapid").replace("  hold_ttl_s: 900", "  hold_ttl_s: 5\n  x: 1")
    found = faults(write(tmp_path, gateway=text), {"GATEWAY_TOKEN_SECRET": ENVIRON["GATEWAY_TOKEN_SECRET"]})
    assert [fault.where for fault in found] == ["upstream.key", "upstream.flavour", "ledger.hold_ttl_s", "ledger.x"]


def test_three_missing_files_are_three_faults(tmp_path: Path) -> None:
    assert [fault.message for fault in faults(tmp_path)] == ["the file is missing"] * 3


def test_what_is_left_out_has_its_documented_default(tmp_path: Path) -> None:
    settings = load(write(tmp_path))
    assert (settings.ops.port, settings.bodies.bytes_max, settings.ledger.deadline_s) == (8081, 33_554_432, 0.3)
    assert (settings.upstream.flavour, settings.upstream.url) == (Flavour.DIRECT, "https://api.dezgo.com")
    assert settings.upstream.key == SecretRef(env="DEZGO_API_KEY")
    assert (settings.identity.jwks.cooldown_s, settings.images.pixels_max) == (30.0, 33_554_432)


@pytest.mark.parametrize(
    ("old", "new", "url"),
    [
        ("flavour: direct", "flavour: rapidapi", "https://dezgo.p.rapidapi.com"),
        ("flavour: direct", "flavour: rapidapi\n  url: https://mirror/", "https://mirror"),
        (
            "flavour: direct",
            "allow_http: true\n  allow_private: true\n  url: http://127.0.0.1:9000/",
            "http://127.0.0.1:9000",
        ),
    ],
)
def test_the_upstream_url_follows_the_flavour_unless_given(tmp_path: Path, old: str, new: str, url: str) -> None:
    assert load(write(tmp_path, gateway=changed(GATEWAY, old, new))).upstream.url == url


def test_a_hold_may_live_exactly_twice_the_longest_call_plus_the_drain(tmp_path: Path) -> None:
    assert (
        load(write(tmp_path, gateway=changed(GATEWAY, "hold_ttl_s: 900", "hold_ttl_s: 625"))).ledger.hold_ttl_s == 625
    )


def test_an_issuer_that_stands_twice_is_refused(tmp_path: Path) -> None:
    entry = GATEWAY[GATEWAY.index("    - issuer: me") : GATEWAY.index("ledger:")]
    fault = only_fault(write(tmp_path, gateway=changed(GATEWAY, entry, entry + entry)))
    assert (fault.where, fault.message) == ("identity.issuers[1].issuer", "is given twice")


def test_two_listeners_may_both_take_any_free_port(tmp_path: Path) -> None:
    text = changed(GATEWAY, "  port: 8080", "  port: 0\nops: {port: 0}")
    assert load(write(tmp_path, gateway=text)).ops.port == 0


def test_settings_cannot_be_changed(tmp_path: Path) -> None:
    settings = load(write(tmp_path))
    with pytest.raises(ValueError, match="frozen"):
        settings.listen.port = 1


def test_spans_without_their_extra_are_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need_package("opentelemetry")
    wanted = write(tmp_path, gateway=GATEWAY + "traces:\n  spans: true\n")
    assert load(wanted).traces.spans
    monkeypatch.setattr(crossing, "find_spec", lambda _: None)
    fault = only_fault(wanted)
    assert (fault.where, fault.message) == ("traces.spans", "needs the extra otel")
    assert "dezgo-gateway[otel]" in fault.hint
    assert not load(write(tmp_path)).traces.spans

"""Who may look: metrics for bearers of the operators' token, health for everybody; no token works on both sides."""

import secrets

import pytest

from tests.e2e.conftest import MakeWorld
from tests.e2e.raw import Wire, connected, message, told
from tests.e2e.refusals import MARK, assert_refused, nothing_happens
from tests.e2e.world import World

TOKEN = secrets.token_hex(24)
OPS = "ops: {host: 127.0.0.1, port: 0"
GUARDED = (OPS, OPS + ", token: {env: OPS_TOKEN}")


async def seen(here: World, path: str, *fields: str, verb: str = "GET", version: str = "1.1") -> Wire:
    async with connected(here.running.ops_port) as peer:
        await peer.send(message(here, b"", *fields, line=f"{verb} {path} HTTP/{version}", key="", kind=None))
        answer = await peer.answer(verb)
    here.canary.look("operators' answer", answer.head + answer.body)
    return answer


async def test_metrics_are_shown_to_bearers_of_the_operators_token_alone(make_world: MakeWorld) -> None:
    async with make_world(replaced=[GUARDED], environ={"OPS_TOKEN": TOKEN}) as here:
        here.bearer = TOKEN
        refused = [
            (),
            (f"Authorization: Bearer {here.token()}",),
            (f"Authorization: Bearer {TOKEN}x",),
            (f"Authorization: Bearer {TOKEN[:-1]}",),
            ("Authorization: Bearer ",),
            (f"Authorization: Basic {TOKEN}",),
            (f"Authorization: {TOKEN}",),
            (f"Authorization: Bearer {TOKEN}", f"Authorization: Bearer {TOKEN}"),
            (f"X-Dezgo-Key: {here.token()}",),
            (f"X-Dezgo-Key: {TOKEN}",),
        ]
        for path in ("/metrics", "/openapi.json"):
            for fields in refused:
                answer = await seen(here, path, *fields)
                assert_refused(answer, 401, "unauthenticated")
                assert b"dezgo_gateway_" not in answer.body
            shown = await seen(here, path, f"Authorization: Bearer {TOKEN}")
            assert shown.status == 200
        for path in ("/healthz", "/readyz"):
            assert (await seen(here, path)).status == 200
            assert (await seen(here, path, f"Authorization: Bearer {here.token()}")).status == 200
        assert TOKEN not in here.log.getvalue()
        assert TOKEN not in repr(here.settings) + repr(here.running)


@pytest.mark.parametrize(
    "agent", ["kube-probe/1.30", "GoogleHC/1.0", "ELB-HealthChecker/2.0", "Prometheus/3.0", "curl/8"]
)
async def test_who_a_client_says_its_program_is_changes_nothing(make_world: MakeWorld, agent: str) -> None:
    async with make_world(replaced=[GUARDED], environ={"OPS_TOKEN": TOKEN}) as here, nothing_happens(here):
        here.bearer = TOKEN
        field = f"User-Agent: {agent}"
        for path in ("/metrics", "/openapi.json"):
            assert_refused(await seen(here, path, field), 401, "unauthenticated")
        for line in ("POST /text2image HTTP/1.1", "GET /gateway/budget HTTP/1.1", "GET /account/tx/last HTTP/1.1"):
            assert_refused(await told(here, message(here, b"", field, line=line, key="")), 401, "unauthenticated")
        assert_refused(await told(here, message(here, b"", field, line="GET /healthz HTTP/1.1")), 404, "unknown_path")


@pytest.mark.parametrize("path", ["/gateway/budget", "/text2image", "/info", "/metrics"])
async def test_the_operators_token_opens_nothing_for_clients(make_world: MakeWorld, path: str) -> None:
    async with make_world(replaced=[GUARDED], environ={"OPS_TOKEN": TOKEN}) as here:
        here.bearer = TOKEN
        for field in ("Authorization", "X-Dezgo-Key"):
            said = {field: f"Bearer {TOKEN}" if field == "Authorization" else TOKEN}
            answer = await here.ask("GET", path, headers=said)
            assert answer.status == (404 if path == "/metrics" else 401)
        assert here.simulator.received.counts.total() == 0


@pytest.mark.parametrize(
    ("fields", "verb", "path", "status", "reason"),
    [
        ((), "POST", "/metrics", 405, "method_not_allowed"),
        ((), "DELETE", "/healthz", 405, "method_not_allowed"),
        ((), "GET", "/", 404, "unknown_path"),
        ((), "GET", "/debug/pprof", 404, "unknown_path"),
        ((), "GET", f"/metrics/{MARK}", 404, "unknown_path"),
        ((), "GET", "/metrics/../healthz", 404, "unknown_path"),
        ((), "GET", "/text2image", 404, "unknown_path"),
        (("Transfer-Encoding: ,chunked",), "GET", "/metrics", 400, "bad_http"),
        (("Host: b c",), "GET", "/metrics", 400, "bad_http"),
        (("Upgrade: websocket", "Connection: Upgrade"), "GET", "/metrics", 400, "bad_http"),
        ((f"X-A: {MARK * 1000}",), "GET", "/metrics", 431, "head_too_large"),
    ],
)
async def test_the_operators_listener_answers_refusals_in_the_one_shape(
    here: World, fields: tuple[str, ...], verb: str, path: str, status: int, reason: str
) -> None:
    assert_refused(await seen(here, path, *fields, verb=verb), status, reason)


async def test_a_closed_network_may_be_declared(make_world: MakeWorld) -> None:
    async with make_world(replaced=[(OPS, "ops: {host: 0.0.0.0, port: 0, allow_open: true")]) as here:
        assert (await seen(here, "/metrics")).status == 200

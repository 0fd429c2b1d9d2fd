"""The back door when things go wrong: what was never sent, what is in doubt, and that nothing is sent twice."""

import asyncio
import datetime
import gc
import socket
import ssl
from ipaddress import ip_address
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.errors import UpstreamUnreachable
from gateway.units import Credits
from tests.fake_upstream import OK, Turn, answer, fake_upstream
from tests.unit.proxy.bench import answered, call, joined, loop_turns, read, told, upstream

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"
LATE = 0.05


# --- nothing is sent twice ----------------------------------------------------------------------------------


@pytest.mark.parametrize("then", ["close", "reset"])
@pytest.mark.parametrize("verb", ["GET", "POST"])
async def test_a_call_on_a_pooled_connection_that_drops_arrives_once(verb: str, then: str) -> None:
    drop = Turn(then="reset" if then == "reset" else "close")
    async with joined(OK, drop, OK) as (fake, door):
        await told(door, call(verb))
        dropped = await told(door, call(verb))
        assert (len(fake.received), fake.connections) == (2, 1)
    assert dropped.ending in {"upstream_unanswered cut", "upstream_unanswered reset"}


async def test_the_client_library_by_itself_would_send_again() -> None:
    async with fake_upstream(OK, Turn(then="close"), OK) as fake, aiohttp.ClientSession() as session:
        for _ in range(2):
            async with session.get(fake.url, data=b"{}") as response:
                await response.read()
    assert len(fake.received) == 3


@pytest.mark.parametrize("verb", ["GET", "POST"])
async def test_a_connection_closed_while_idle_is_not_used(verb: str) -> None:
    async with joined(Turn((answer(body=b"picture"),), then="close"), OK) as (fake, door):
        await told(door, call(verb))
        await loop_turns()
        assert fake.open == 0
        assert (await told(door, call(verb))).ending == "whole"
    assert (len(fake.received), fake.connections) == (2, 2)


async def test_bytes_nobody_asked_for_are_not_taken_for_the_next_answer() -> None:
    go_on = asyncio.Event()
    stray = answer(200, "x-dezgo-job-amount-usd: 0", body=b"stray")
    async with joined(Turn((answer(body=b"first"), go_on, stray)), OK) as (fake, door):
        await told(door, call())
        go_on.set()
        await loop_turns()
        outcome = await told(door, call())
    assert outcome.body == b"picture"
    assert fake.connections == 2


async def test_an_upstream_that_speaks_first_is_not_spoken_to() -> None:
    async with fake_upstream(greeting=answer(body=b"early")) as fake, upstream(fake.url) as door:
        await told(door, call())
        assert fake.connections <= 3


# --- never sent ---------------------------------------------------------------------------------------------


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def test_a_refused_connection_was_never_sent() -> None:
    async with upstream(f"http://127.0.0.1:{closed_port()}") as door:
        assert (await told(door, call())).ending == "upstream_unreachable connect"


async def test_an_unknown_name_was_never_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)
    async with upstream("https://upstream.invalid") as door:
        assert (await told(door, call())).ending == "upstream_unreachable dns"


async def test_a_name_that_takes_too_long_was_never_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", silent)
    async with upstream("https://upstream.invalid", connect_timeout_s=LATE) as door:
        assert (await told(door, call())).ending == "upstream_unreachable timeout"


async def test_a_peer_that_speaks_no_tls_was_never_sent_to() -> None:
    async with (
        fake_upstream(greeting=b"HTTP/1.1 400 Plain\r\n\r\n") as fake,
        upstream(fake.url.replace("http", "https")) as door,
    ):
        assert (await told(door, call())).ending == "upstream_unreachable tls"


@pytest.mark.parametrize("limit", ["connect_timeout_s", "head_timeout_s", "total_timeout_s"])
async def test_waiting_for_a_free_connection_was_never_sent(limit: str) -> None:
    async with (
        fake_upstream(Turn((CHUNKED + b"1\r\nx\r\n",))) as fake,
        upstream(fake.url, connections_max=1, **{limit: LATE}) as door,  # type: ignore[arg-type] # one float
    ):
        taking = await door.forward(call())
        assert (await told(door, call())).ending == "upstream_unreachable pool"
        await taking.close()
    assert len(fake.received) == 1


async def test_closing_over_a_call_that_waits_in_the_pool_refuses_it() -> None:
    async with (
        fake_upstream(Turn((CHUNKED + b"1\r\nx\r\n",))) as fake,
        upstream(fake.url, connections_max=1) as door,
    ):
        taking = await door.forward(call())
        waiting = asyncio.create_task(door.forward(call()))
        await asyncio.sleep(0)
        await door.close()
        with pytest.raises(UpstreamUnreachable):
            await waiting
        await taking.close()


# --- TLS ----------------------------------------------------------------------------------------------------


def certified(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's TLS context with a fresh certificate of its own for 127.0.0.1, and that certificate's file."""
    folder.mkdir()
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "fake upstream")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    key_file, certificate_file = folder / "key.pem", folder / "certificate.pem"
    pem = serialization.Encoding.PEM
    key_file.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    certificate_file.write_bytes(certificate.public_bytes(pem))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate_file, key_file)
    return tls, certificate_file


@pytest.mark.parametrize(
    ("trusts", "ending"),
    [("its own", "whole"), ("another", "upstream_unreachable tls"), ("the system's", "upstream_unreachable tls")],
)
async def test_only_a_trusted_certificate_gets_the_key(tmp_path: Path, trusts: str, ending: str) -> None:
    tls, own = certified(tmp_path / "own")
    _, another = certified(tmp_path / "another")
    async with (
        fake_upstream(tls=tls) as fake,
        upstream(fake.url.replace("http", "https"), ca_file={"its own": own, "another": another}.get(trusts)) as door,
    ):
        assert (await told(door, call())).ending == ending
    assert len(fake.received) == (ending == "whole")


# --- sent, and in doubt -------------------------------------------------------------------------------------

WHOLE = {
    "length": HEAD + b"content-length: 4\r\nx-dezgo-job-amount-usd: 0.0019\r\n\r\nbody",
    "chunks": HEAD + b"x-a: b\r\ntransfer-encoding: chunked\r\n\r\n2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("then", ["close", "reset"])
@pytest.mark.parametrize("framing", WHOLE)
async def test_an_answer_cut_at_any_byte_never_looks_whole(framing: str, then: str) -> None:
    whole = WHOLE[framing]
    for cut in range(len(whole)):
        outcome = await answered(whole[:cut], then=then)
        assert outcome.ending in {"upstream_unanswered cut", "upstream_unanswered reset"}, cut
        assert b"body".startswith(outcome.body)
    assert (await answered(whole)).ending == "whole"


async def test_a_cut_body_leaves_the_reported_charge_readable() -> None:
    outcome = await answered(WHOLE["length"][:-1])
    assert outcome.reply is not None
    assert (outcome.reply.reported, outcome.ending) == (Credits.whole(19), "upstream_unanswered cut")


@pytest.mark.parametrize(("then", "ending"), [("close", "whole"), ("reset", "upstream_unanswered cut")])
async def test_a_body_that_ends_with_its_connection_must_end_cleanly(then: str, ending: str) -> None:
    go_on = asyncio.Event()
    turn = Turn((HEAD + b"\r\nbody", go_on), then="reset" if then == "reset" else "close")
    async with joined(turn) as (_, door):
        reply = await door.forward(call())
        go_on.set()
        assert (await read(reply)).ending == ending


@pytest.mark.parametrize(
    "raw",
    [
        b"\x00\x01garbage\r\n\r\n",
        b"OK",
        b"HTTP/1.1 999 Odd\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 099 Odd\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switch\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        b"HTTP/1.1 204 None\r\ncontent-length: 2\r\n\r\nOK",
        HEAD + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nOK\r\n0\r\n\r\n",
        HEAD + b"content-length: 2\r\ncontent-length: 3\r\n\r\nOK!",
        HEAD + b"content-length: +2\r\n\r\nOK",
        HEAD + b"x: a\rb\r\ncontent-length: 0\r\n\r\n",
        HEAD + b"x: a\x00b\r\ncontent-length: 0\r\n\r\n",
        HEAD + b"x: a\x01b\r\ncontent-length: 0\r\n\r\n",
        HEAD + b"x : a\r\ncontent-length: 0\r\n\r\n",
        HEAD + b"x: " + b"a" * 9000 + b"\r\n\r\n",
        HEAD + b"x: a\r\n" * 200 + b"\r\n",
        CHUNKED + b"2\r\nOK\r\nzz\r\n",
    ],
)
async def test_an_answer_with_two_readings_or_none_is_in_doubt(raw: bytes) -> None:
    assert (await answered(raw)).ending == "upstream_unanswered unreadable"


async def test_an_unreadable_answer_gives_its_connection_up() -> None:
    async with joined(Turn((b"HTTP/1.1 999 Odd\r\ncontent-length: 9\r\n\r\npart",)), OK) as (fake, door):
        assert (await told(door, call())).ending == "upstream_unanswered unreadable"
        assert (await told(door, call())).ending == "whole"
    assert fake.connections == 2


async def test_a_connection_reset_while_idle_is_nobodys_error() -> None:
    go_on, seen = asyncio.Event(), list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _, said: seen.append(said))
    async with joined(Turn((answer(), go_on), then="reset"), OK) as (fake, door):
        await told(door, call())
        go_on.set()
        await loop_turns()
        assert (await told(door, call())).ending == "whole"
    gc.collect()
    assert (fake.connections, seen) == (2, [])


async def test_garbage_between_chunks_ends_the_body_without_waiting_for_a_deadline() -> None:
    go_on = asyncio.Event()
    async with joined(Turn((CHUNKED + b"2\r\nOK\r\n", go_on, b"zz\r\n"))) as (_, door):
        reply = await door.forward(call())
        waiting = asyncio.create_task(read(reply))
        await loop_turns()
        go_on.set()
        assert (await waiting).ending == "upstream_unanswered unreadable"


@pytest.mark.parametrize("limit", ["head_timeout_s", "total_timeout_s"])
@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 103 Early\r\n\r\n"])
async def test_a_head_that_does_not_come_in_time_is_in_doubt(limit: str, said: bytes) -> None:
    async with (
        fake_upstream(Turn((said,), then="stall")) as fake,
        upstream(fake.url, **{limit: LATE}) as door,  # type: ignore[arg-type] # one float
    ):
        assert (await told(door, call())).ending == "upstream_unanswered timeout"
    assert len(fake.received) == 1


@pytest.mark.parametrize("limit", ["read_timeout_s", "total_timeout_s"])
async def test_a_body_that_stops_coming_is_in_doubt(limit: str) -> None:
    async with (
        fake_upstream(Turn((HEAD + b"content-length: 9\r\n\r\npart",), then="stall")) as fake,
        upstream(fake.url, **{limit: LATE * 4}) as door,  # type: ignore[arg-type] # one float
    ):
        outcome = await told(door, call())
    assert outcome.ending == "upstream_unanswered timeout"
    assert b"part".startswith(outcome.body)


async def test_a_cancelled_call_gives_its_connection_up() -> None:
    async with joined(Turn(then="stall"), OK) as (fake, door):
        waiting = asyncio.create_task(door.forward(call()))
        await fake.arrived.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert (await told(door, call())).ending == "whole"
    assert fake.connections == 2

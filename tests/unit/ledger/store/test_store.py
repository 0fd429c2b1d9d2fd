"""The connection to the store: each failure has a class, nothing is ever sent twice, no answer reaches another call."""

import asyncio
import hashlib
import traceback

import pytest

from gateway.errors import LedgerPoisoned, LedgerUnavailable
from gateway.ledger.store import Script, Store
from gateway.ledger.store import wire as wire_module
from tests.unit.ledger.resp import Words, always, fake_store, in_turn, never, ran
from tests.unit.ledger.store.talking import talking, until_it_answers

MARK = "hunter2"
SCRIPT = Script.of("echo", "return {'ok'}")


def assert_says_nothing(error: BaseException) -> None:
    """Neither the error, nor a traceback printed of it, holds anything the store said."""
    shown = "".join(traceback.format_exception(error))
    assert error.__cause__ is None
    assert error.__context__ is None or error.__suppress_context__
    for text in (shown.replace(f'"{MARK}"', ""), repr(error), str(error), repr(error.args), repr(vars(error))):
        assert MARK not in text


# What stores say, word for word (with a mark in it), and what that means to us.
SAID = [
    (f"LOADING {MARK} is loading the dataset in memory", "loading"),
    (f"READONLY You can't write against a read only replica {MARK}.", "readonly"),
    (f"OOM command not allowed when used memory > 'maxmemory'. {MARK}", "oom"),
    (f"ERR Error running script (call to f_1b): @user_script:9: @user_script: 9: -OOM command {MARK}", "oom"),
    (f"ERR Error running script (call to f_1b): @user_script:9: @user_script: 9: -READONLY You {MARK}", "readonly"),
    (f"MISCONF Errors writing to the AOF file: {MARK}", "misconfigured"),
    (f"NOREPLICAS Not enough good replicas to write. {MARK}", "replicas"),
    (f"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'. {MARK}", "replicas"),
    (f"BUSY Redis is busy running a script. {MARK}", "busy"),
    (f"NOAUTH Authentication required. {MARK}", "auth"),
    (f"WRONGPASS invalid username-password pair or user is disabled. {MARK}", "auth"),
    (f"NOPERM this user has no permissions to run the '{MARK}' command", "auth"),
    (f"CLUSTERDOWN The cluster is down {MARK}", "cluster"),
    (f"TRYAGAIN Multiple keys request during rehashing of slot {MARK}", "cluster"),
    (f"CROSSSLOT Keys in request don't hash to the same slot {MARK}", "cluster"),
    (f"MOVED 3999 {MARK}", "cluster"),
    (f"ASK {MARK} 127.0.0.1:6381", "cluster"),
    (f"ASK 3999 {MARK}:0", "cluster"),
    (f"MOVED {MARK}", "cluster"),
    (f"ERR unknown command '{MARK}'", "error"),
    (f"ERR max number of clients reached {MARK}", "connection"),
    ("ERR max number of clients reached", "connection"),
    ("ERR Protocol error: unauthenticated multibulk length", "auth"),
    (f"WHATEVER {MARK}", "error"),
    (MARK, "error"),
    ("", "error"),
]


@pytest.mark.parametrize(("text", "code"), SAID, ids=lambda text: text.split(" ")[0] or "empty")
async def test_every_error_a_store_names_has_its_class_is_asked_once_and_shows_nothing(text: str, code: str) -> None:
    async with talking(always(f"-{text}\r\n".encode())) as (fake, store):
        with pytest.raises(LedgerUnavailable) as refused:
            await store.call("PING", "one")
        assert (type(refused.value), refused.value.code) == (LedgerUnavailable, code)
        assert refused.value.sent
        assert fake.arrived == [("PING", "one")]
        assert_says_nothing(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        f"POISONED spent {MARK}",
        f"ERR user_script:9: POISONED spent {MARK} script: 1b, on @user_script:9.",
        f"ERR Error running script (call to f_1b): @user_script:9: user_script:9: POISONED held {MARK}",
        f"WRONGTYPE Operation against a key holding the wrong kind of value {MARK}",
        f"ERR Error running script (call to f_1b): @user_script:3: WRONGTYPE Operation against a key {MARK}",
        f"ERR hash value is not an integer {MARK}",
    ],
)
async def test_a_value_that_cannot_be_trusted_is_poison_whatever_store_says_so(text: str) -> None:
    async with talking(always(f"-{text}\r\n".encode())) as (fake, store):
        with pytest.raises(LedgerPoisoned) as refused:
            await store.run(SCRIPT, ["k"], ["a"])
        assert refused.value.code == "poisoned"
        assert len(fake.arrived) == 1
        assert_says_nothing(refused.value)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request hunter2\r\n\r\n",
        b"\x00\xff\xfe hunter2\r\n",
        b"*99999999999\r\n",
        b":hunter2\r\n",
        b"$-7\r\n",
        b"!",
    ],
    ids=repr,
)
async def test_garbage_is_an_unavailable_ledger_and_never_another_error(answer: bytes) -> None:
    async with talking(always(answer), deadline_s=0.3) as (fake, store):
        with pytest.raises(LedgerUnavailable) as refused:
            await store.call("PING")
        assert refused.value.code in ("error", "connection", "timeout")
        assert len(fake.arrived) == 1
        assert_says_nothing(refused.value)


async def test_after_garbage_the_next_call_has_its_own_answer() -> None:
    async with talking(in_turn(b"!\r\n:1\r\n:2\r\n", b":7\r\n")) as (fake, store):
        with pytest.raises(LedgerUnavailable):
            await store.call("PING")
        assert await store.call("INCR", "k") == 7
        assert (len(fake.arrived), fake.connections) == (2, 2)


async def test_bytes_that_are_no_text_are_shown_as_such_and_harm_nobody() -> None:
    async with talking(in_turn(b"$3\r\n\xff\xfe1\r\n", b":7\r\n")) as (fake, store):
        assert await store.call("GET", "k") == "\ufffd\ufffd1"
        assert await store.call("INCR", "k") == 7
        assert fake.connections == 1


@pytest.mark.parametrize("answer", [None, b"$10\r\nhalf"], ids=["at once", "in the middle of the answer"])
async def test_a_store_that_hangs_up_is_asked_once(answer: bytes | None) -> None:
    async def hang_up(words: Words) -> bytes | None:
        return answer

    async with talking(hang_up, deadline_s=0.5) as (fake, store):
        with pytest.raises(LedgerUnavailable) as refused:
            await store.run(SCRIPT, ["k"], [])
        assert refused.value.code == ("connection" if answer is None else "timeout")
        assert len(fake.arrived) == 1


async def test_after_a_hang_up_the_next_call_is_answered_on_a_new_connection() -> None:
    async with talking(in_turn(b":1\r\n", None, b":3\r\n")) as (fake, store):
        assert await store.call("INCR", "k") == 1
        with pytest.raises(LedgerUnavailable):
            await store.call("INCR", "k")
        assert await store.call("INCR", "k") == 3
        assert len(fake.arrived) == 3


async def test_a_store_that_nobody_serves_is_a_failed_connection() -> None:
    async with fake_store(never) as fake:
        pass
    store = Store(fake.url, deadline_s=20.0)
    with pytest.raises(LedgerUnavailable) as refused:
        await store.call("PING")
    assert (refused.value.code, refused.value.sent) == ("connection", False)
    assert_says_nothing(refused.value)
    await store.close()


async def test_silence_ends_at_the_deadline_and_is_asked_once() -> None:
    async with talking(never, deadline_s=1.0) as (fake, store):
        with pytest.raises(LedgerUnavailable) as refused:
            await store.run(SCRIPT, ["k"], [])
        assert refused.value.code == "timeout"
        assert len(fake.arrived) == 1


async def test_a_late_answer_never_reaches_the_next_call() -> None:
    release = asyncio.Event()

    async def first_is_late(words: Words) -> bytes | None:
        if words[-1] == "late":
            await release.wait()
        return f"+{words[-1]}\r\n".encode()

    async with talking(first_is_late, deadline_s=1.0) as (fake, store):
        with pytest.raises(LedgerUnavailable):
            await store.call("ECHO", "late")
        release.set()
        await until_it_answers(store, "ECHO", "again")
        assert [await store.call("ECHO", f"n{n}") for n in range(5)] == [f"n{n}" for n in range(5)]
        assert [words[1] for words in fake.arrived if words[0] == "ECHO"][-5:] == [f"n{n}" for n in range(5)]
        assert fake.connections == 1


async def test_an_answer_to_a_cancelled_call_never_reaches_the_next_one() -> None:
    """Cancelled after any number of steps: before, while and after it is sent."""

    async def echo(words: Words) -> bytes | None:
        return f"+{words[1]}\r\n".encode()

    async with talking(echo) as (_, store):
        for steps in range(60):
            task = asyncio.create_task(store.call("ECHO", "cancelled"))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert await store.call("ECHO", f"n{steps}") == f"n{steps}"


async def test_four_hundred_calls_at_once_share_one_connection_and_each_has_its_own_answer() -> None:
    async def echo(words: Words) -> bytes | None:
        return f"+{words[1]}\r\n".encode()

    async with talking(echo) as (fake, store):
        answers = await asyncio.gather(*(store.call("ECHO", f"n{n}") for n in range(400)))
        assert answers == [f"n{n}" for n in range(400)]
        assert (len(fake.arrived), fake.connections) == (400, 1)


async def test_a_password_and_a_database_are_said_before_anything_else() -> None:
    async with fake_store(always(b"+OK\r\n")) as fake:
        store = Store(fake.url.replace("redis://", "redis://me:se%20cret@").replace("/0", "/3"), deadline_s=5)
        await store.call("PING")
        assert fake.arrived == [("AUTH", "me", "se cret"), ("SELECT", "3"), ("PING",)]
        await store.close()


async def test_a_store_that_refuses_the_password_is_asked_for_nothing_more() -> None:
    async with fake_store(always(f"-WRONGPASS {MARK}\r\n".encode())) as fake:
        store = Store(fake.url.replace("redis://", "redis://:wrong@"), deadline_s=5)
        with pytest.raises(LedgerUnavailable) as refused:
            await store.call("PING")
        assert (refused.value.code, refused.value.sent) == ("auth", False)
        assert fake.arrived == [("AUTH", "wrong")]
        assert_says_nothing(refused.value)
        await store.close()


async def test_a_script_the_store_does_not_know_is_sent_again_with_its_text_and_runs_once() -> None:
    async def known_by_text(words: Words) -> bytes | None:
        return b"-NOSCRIPT No matching script.\r\n" if words[0] == "EVALSHA" else ran(words, "ok")

    async with talking(known_by_text) as (fake, store):
        assert await store.run(SCRIPT, ["k1", "k2"], ["a"]) == ["ok"]
        assert [words[:-1] for words in fake.arrived] == [
            ("EVALSHA", SCRIPT.sha1, "2", "k1", "k2", "a"),
            ("EVAL", SCRIPT.text, "2", "k1", "k2", "a"),
        ]


async def test_after_a_script_that_was_not_known_it_is_not_certain_that_nothing_was_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def unknown(words: Words) -> bytes | None:
        if words[0] == "EVALSHA":
            monkeypatch.setattr(wire_module, "PENDING_MAX", 0)  # from now on nothing more is taken
        return b"-NOSCRIPT No matching script.\r\n"

    async with talking(unknown) as (fake, store):
        with pytest.raises(LedgerUnavailable) as refused:
            await store.run(SCRIPT, ["k"], [])
        assert (refused.value.code, refused.value.sent) == ("busy", True)
        assert len(fake.arrived) == 1


async def test_a_store_that_refuses_the_text_too_is_unavailable() -> None:
    async with talking(always(b"-NOSCRIPT No matching script.\r\n")) as (fake, store):
        with pytest.raises(LedgerUnavailable):
            await store.run(SCRIPT, [], [])
        assert len(fake.arrived) == 2


async def test_what_a_script_ran_into_has_the_class_of_that_error() -> None:
    async def failed(words: Words) -> bytes | None:
        return ran(words, "failed", f"OOM command not allowed {MARK}")

    async with talking(failed) as (_, store):
        with pytest.raises(LedgerUnavailable) as refused:
            await store.run(SCRIPT, ["k"], [])
        assert refused.value.code == "oom"
        assert_says_nothing(refused.value)


@pytest.mark.parametrize("name", ["hold", "settle", "expire", "void", "snapshot"])
def test_a_script_is_known_by_the_hash_of_the_text_that_is_sent(name: str) -> None:
    script = Script.load(name)
    assert script.sha1 == hashlib.sha1(script.text.encode(), usedforsecurity=False).hexdigest()
    assert f"{name}.lua:" in script.text
    assert "common.lua:" in script.text
    assert "closing.lua:" in script.text

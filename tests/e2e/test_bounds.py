"""What nobody pays for may not take from those who pay: connections without a token, answers nobody reads."""

import asyncio
import socket

from tests.e2e.conftest import MakeWorld
from tests.e2e.world import until


async def test_callers_without_a_token_share_a_few_upstream_calls(make_world: MakeWorld) -> None:
    async with make_world() as here:
        here.simulator.faults.always("slow:2", path="/info")
        strangers = [asyncio.create_task(here.ask("GET", "/info")) for _ in range(12)]
        try:
            await until(lambda: sum(task.done() for task in strangers) == 4)
            refused = [task.result() for task in strangers if task.done()]
            assert {(answer.status, answer.json()["reason"]) for answer in refused} == {(503, "busy")}
            assert (await here.generate()).status == 200
            assert here.simulator.received.counts["/info"] == 8
        finally:
            served = await asyncio.gather(*strangers)
        assert sum(answer.status == 200 for answer in served) == 8
        here.simulator.faults.clear()
        assert (await here.ask("GET", "/info")).status == 200


async def test_a_client_that_reads_none_of_our_own_answers_is_given_up(make_world: MakeWorld) -> None:
    async with make_world(environ={"DEZGO_GATEWAY__ANSWERS__WRITE_TIMEOUT_S": "0.3"}) as here:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, ("127.0.0.1", here.running.port))
        given_up = False
        try:
            async with asyncio.timeout(30):
                while True:
                    await loop.sock_sendall(client, b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n" * 200)
        except ConnectionError:
            given_up = True
        finally:
            client.close()
        assert given_up
        assert (await here.generate()).status == 200

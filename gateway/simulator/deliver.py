"""Sending an answer, well or badly: slow, cut short, folded or no HTTP at all.

What aiohttp would refuse to send is written to the transport by hand, and the connection ended after it.
"""

import asyncio
from http import HTTPStatus

from aiohttp import web

from gateway.simulator.answers import Answer
from gateway.simulator.faults import Fault

GARBAGE = b"\x00\xff\x16\x03 this is no HTTP \xfe\r\n\r\n"
_PIECES = 10
_SENDABLE = range(200, 600)
_FLUSH_S = 10.0


async def deliver(request: web.Request, answer: Answer, fault: Fault) -> web.StreamResponse:
    """Send `answer` as `fault` wants it. A client that has gone is no error."""
    try:
        if fault.seconds("slow"):
            await asyncio.sleep(fault.seconds("slow"))
        if _by_hand(answer, fault):
            _write_by_hand(request, _wire(answer, fault))
            return web.Response()
        if "chunked" in fault or "slow_body" in fault:
            return await _stream(request, answer, fault)
    except ConnectionError:
        return web.Response()
    response = web.Response(status=answer.status, body=answer.body)
    _add_fields(response, answer)
    return response


def _add_fields(response: web.StreamResponse, answer: Answer) -> None:
    response.headers["content-type"] = answer.content_type
    for name, value in answer.fields:
        response.headers.add(name, value)


async def _stream(request: web.Request, answer: Answer, fault: Fault) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status)
    _add_fields(response, answer)
    if "chunked" not in fault:
        response.content_length = len(answer.body)
    await response.prepare(request)
    size = max(1, -(-len(answer.body) // _PIECES))
    for start in range(0, len(answer.body), size):
        if fault.seconds("slow_body"):
            await asyncio.sleep(fault.seconds("slow_body") / _PIECES)
        await response.write(answer.body[start : start + size])
    await response.write_eof()
    return response


def _by_hand(answer: Answer, fault: Fault) -> bool:
    """Whether aiohttp would not send this."""
    return answer.status not in _SENDABLE or "cut" in fault or "garbage" in fault or fault.get("charge") == "folded"


def _wire(answer: Answer, fault: Fault) -> bytes:
    cut = fault.get("cut")
    if cut == "head":
        return b""
    if "garbage" in fault:
        return GARBAGE
    body = answer.body if cut is None else answer.body[: int(cut)]
    if "chunked" in fault:
        body = f"{len(answer.body):x}\r\n".encode() + body
        body += b"\r\n0\r\n\r\n" if cut is None else b""
    return _head(answer, chunked="chunked" in fault) + body


def _head(answer: Answer, *, chunked: bool) -> bytes:
    framing = ("transfer-encoding", "chunked") if chunked else ("content-length", str(len(answer.body)))
    fields = [("content-type", answer.content_type), *answer.fields, framing, ("connection", "close")]
    lines = [f"HTTP/1.1 {answer.status} {_reason(answer.status)}", *(f"{k}: {v}" for k, v in fields), "", ""]
    return "\r\n".join(lines).encode("latin-1", "replace")


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def _write_by_hand(request: web.Request, wire: bytes) -> None:
    transport = request.transport
    if transport is None:
        return
    if not wire:
        transport.abort()
        return
    transport.write(wire)
    # Closing sends what is still waiting; a peer that does not read it is dropped.
    transport.close()
    asyncio.get_running_loop().call_later(_FLUSH_S, transport.abort)

"""Clients that Python has: the real libraries, each in its own way. Proxies of the machine are left aside."""

import asyncio
import urllib.request
from collections.abc import Mapping
from urllib.error import HTTPError

import aiohttp
import httpx
import requests

from tests.e2e.clients.asking import Got, Said, Target, Way, files, texts
from tests.e2e.clients.bodies import Writer
from tests.unit.parse.wire import File

WAIT_S = 20


def _lower(fields: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in fields.items()}


async def by_requests(target: Target, verb: str, path: str, said: Said) -> Got:
    """`requests.post(data=…, files=…)`."""
    return await asyncio.to_thread(_by_requests, target, verb, path, said)


def _for_requests(file: File) -> object:
    # Bare bytes: requests makes up a filename. With a name alone it says no type.
    if not file.filename:
        return file.content
    named = (file.filename, file.content)
    return (*named, file.content_type) if file.content_type else named


def _by_requests(target: Target, verb: str, path: str, said: Said) -> Got:
    with requests.Session() as session:
        session.trust_env = False
        prepared = session.prepare_request(
            requests.Request(
                verb,
                target.url(path),
                headers=target.keys(),
                data=texts(said),
                files={name: _for_requests(file) for name, file in files(said).items()},
            )
        )
        answer = session.send(prepared, timeout=WAIT_S, allow_redirects=False)
    body = prepared.body or b""
    sent = body.encode() if isinstance(body, str) else bytes(body)
    return Got(answer.status_code, _lower(answer.headers), answer.content, sent, prepared.headers["Content-Type"])


def by_urllib(write: Writer, **fields: str) -> Way:
    """`urllib.request.urlopen` with a body made by hand."""

    async def ask(target: Target, verb: str, path: str, said: Said) -> Got:
        kind, body = write(said)
        own = {**fields, **target.keys(), **({"Content-Type": kind} if kind else {})}
        request = urllib.request.Request(target.url(path), data=body if kind else None, headers=own, method=verb)  # noqa: S310 - always http
        status, answered, got = await asyncio.to_thread(_opened, request)
        return Got(status, answered, got, body, kind)

    return ask


def _opened(request: urllib.request.Request) -> tuple[int, dict[str, str], bytes]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=WAIT_S) as answer:
            return answer.status, _lower(dict(answer.headers.items())), answer.read()
    except HTTPError as refusal:
        with refusal:
            return refusal.code, _lower(dict(refusal.headers.items())), refusal.read()


async def by_httpx(target: Target, verb: str, path: str, said: Said) -> Got:
    """`httpx.AsyncClient`: fields of a form with files as parts without a filename."""
    uploaded = {name: (file.filename, file.content, file.content_type) for name, file in files(said).items()}
    plain = {name: (None, str(value).encode()) for name, value in texts(said).items()}
    async with httpx.AsyncClient(trust_env=False, timeout=WAIT_S) as client:
        request = client.build_request(verb, target.url(path), headers=target.keys(), files={**plain, **uploaded})
        sent = await request.aread()
        answer = await client.send(request)
    return Got(answer.status_code, _lower(answer.headers), answer.content, sent, request.headers["content-type"])


async def by_aiohttp(target: Target, verb: str, path: str, said: Said) -> Got:
    """`aiohttp.FormData`: urlencoded without a file, multipart with one."""
    form = aiohttp.FormData({name: str(value) for name, value in texts(said).items()})
    for name, file in files(said).items():
        form.add_field(name, file.content, filename=file.filename, content_type=file.content_type)
    payload = form()
    sent = await payload.as_bytes()
    own = {**target.keys(), "Content-Type": payload.headers["Content-Type"]}
    wait = aiohttp.ClientTimeout(total=WAIT_S)
    async with (
        aiohttp.ClientSession(timeout=wait) as session,
        session.request(verb, target.url(path), headers=own, data=sent) as answer,
    ):
        return Got(answer.status, _lower(answer.headers), await answer.read(), sent, own["Content-Type"])

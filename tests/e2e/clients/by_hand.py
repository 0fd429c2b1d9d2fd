"""Clients that Python does not have, as heads written by hand: field names, their case and their order are theirs."""

from tests.e2e.clients.asking import Got, Said, Target, Way
from tests.e2e.clients.bodies import Writer
from tests.e2e.raw import Peer, chunks, connected

# A line whose placeholder stays empty is left out.
AXIOS = """
{verb} {path} HTTP/1.1
Accept: application/json, text/plain, */*
Content-Type: {type}
{keys}
User-Agent: axios/1.7.9
Content-Length: {length}
Accept-Encoding: gzip, compress, deflate, br
Host: {host}
Connection: keep-alive
"""
AXIOS_OF_OLD = """
{verb} {path} HTTP/1.1
Accept: */*
Content-Type: {type}
{keys}
User-Agent: axios/0.27.2
Host: {host}
Connection: close
Transfer-Encoding: chunked
"""
NODE_FETCH = """
{verb} {path} HTTP/1.1
host: {host}
connection: keep-alive
content-type: {type}
{keys}
accept: {accept}
accept-language: *
sec-fetch-mode: cors
user-agent: node
accept-encoding: br, gzip, deflate
content-length: {length}
"""
DENO = """
{verb} {path} HTTP/1.1
{keys}
content-type: {type}
accept: */*
accept-language: *
user-agent: Deno/1.45.5
accept-encoding: gzip,br
host: {host}
content-length: {length}
"""
BROWSER = """
{verb} {path} HTTP/1.1
Host: {host}
Connection: keep-alive
Content-Length: {length}
sec-ch-ua-platform: "Linux"
{keys}
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36
Accept: {accept}
sec-ch-ua: "Chromium";v="126", "Not.A/Brand";v="24"
Content-Type: {type}
sec-ch-ua-mobile: ?0
Origin: http://localhost:5173
Sec-Fetch-Site: cross-site
Sec-Fetch-Mode: cors
Sec-Fetch-Dest: empty
Referer: http://localhost:5173/
Accept-Encoding: gzip, deflate, br, zstd
Accept-Language: en-GB,en;q=0.9
Cookie: theme=dark
"""
GO = """
{verb} {path} HTTP/1.1
Host: {host}
User-Agent: Go-http-client/1.1
Content-Length: {length}
Content-Type: {type}
{keys}
Accept-Encoding: gzip
"""
WORDPRESS = """
{verb} {path} HTTP/1.0
Host: {host}
User-Agent: WordPress/6.5.2; https://blog.example
Accept: */*
Accept-Encoding: deflate, gzip, br
Referer: https://blog.example/wp-admin/
{keys}
Content-Type: {type}
Content-Length: {length}
"""
CURL = """
{verb} {path} HTTP/1.1
Host: {host}
accept: */*
{keys}
Content-Length: {length}
Content-Type: {type}
"""
CURL_EXPECTING = CURL.rstrip("\n") + "\nExpect: 100-continue\n"
DART = """
{verb} {path} HTTP/1.1
user-agent: Dart/3.4 (dart:io)
{keys}
accept-encoding: gzip
content-length: {length}
content-type: {type}
host: {host}
"""
OKHTTP = """
{verb} {path} HTTP/1.1
{keys}
Content-Type: {type}
Content-Length: {length}
Host: {host}
Connection: Keep-Alive
Accept-Encoding: gzip
User-Agent: okhttp/4.12.0
"""
KTOR = """
{verb} {path} HTTP/1.1
Host: {host}
Content-Length: {length}
{keys}
Accept: {accept}
Accept-Charset: UTF-8
User-Agent: ktor-client
Content-Type: {type}
"""
DOTNET_EXPECTING = """
{verb} {path} HTTP/1.1
{keys}
Content-Type: {type}
Expect: 100-continue
Content-Length: {length}
Connection: keep-alive
Host: {host}
"""


def by_hand(head: str, write: Writer, *, accept: str = "*/*", lower: bool = False, piece: int = 0) -> Way:
    """A client with this head.

    Args:
        head: with placeholders.
        write: its bodies.
        accept: where the head asks for it.
        lower: it writes the key's field name in lower case.
        piece: bytes of a chunk, where the head says chunked.
    """

    async def ask(target: Target, verb: str, path: str, said: Said) -> Got:
        kind, body = write(said)
        values = {
            "verb": verb,
            "path": path,
            "host": target.host,
            "accept": accept,
            "type": kind or "",
            "length": str(len(body)) if kind else "",
            "keys": "\r\n".join(f"{name}: {value}" for name, value in target.keys(lower=lower).items()),
        }
        lines = [line.format_map(values) for line in head.strip().splitlines()]
        kept = [line for line in lines if line and not line.endswith(": ")]
        wire = "\r\n".join([*kept, "", ""]).encode("ascii")
        async with connected(target.port) as peer:
            await _send(peer, wire, chunks(body, piece) if piece else [body])
            answer = await peer.answer(verb)
        return Got(answer.status, answer.fields, answer.body, body, kind, answer.framing)

    return ask


async def _send(peer: Peer, wire: bytes, body: list[bytes]) -> None:
    """Head and body at once; where the head expects a word in between, only after that word."""
    if b"\r\nExpect: " not in wire:
        await peer.send(wire + body[0], *body[1:])
        return
    await peer.send(wire)
    interim = await peer.answer()
    assert interim.head.startswith(b"HTTP/1.1 100 ")
    await peer.send(*body)

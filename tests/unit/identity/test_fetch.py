"""The fetch over a real loopback server: what a hostile or broken provider can answer (ID16)."""

import asyncio
import gzip
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.errors import Unauthenticated
from gateway.identity.fetch import BODY_BYTES_MAX, HttpFetch
from gateway.identity.jwks import FetchFailed, JwksSource
from gateway.identity.mint import mint_token
from gateway.identity.verify import Issuer, Verifier
from tests.unit.identity.tokens import AUDIENCE, ISSUER, NOW, jwks_of, signer, token

KEY = signer("p256")
Serve = Callable[[web.Application], Awaitable[TestServer]]


class Provider:
    """A provider with one page per way to answer; counts what reaches it."""

    def __init__(self) -> None:
        self.hits: list[str] = []
        self.fields: dict[str, str] = {}
        self.release = asyncio.Event()
        self.app = web.Application()
        self.app.router.add_get("/{page}", self.answer)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        page = request.match_info["page"]
        self.hits.append(page)
        self.fields = dict(request.headers)
        if page == "drip":
            return await self._drip(request)
        if page == "cut":
            assert request.transport is not None
            request.transport.abort()
        return PAGES[page]()

    async def _drip(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"{")
        await self.release.wait()
        return response


PAGES: dict[str, Callable[[], web.Response]] = {
    "good": lambda: web.Response(body=jwks_of(KEY), content_type="application/json"),
    "error": lambda: web.Response(status=500),
    "nothing": lambda: web.Response(status=204),
    "moved": lambda: web.Response(status=302, headers={"Location": "/good"}),
    "huge": lambda: web.Response(body=b" " * (BODY_BYTES_MAX + 1)),
    "largest": lambda: web.Response(body=b" " * BODY_BYTES_MAX),
    "bomb": lambda: web.Response(body=gzip.compress(b" " * 50 * BODY_BYTES_MAX), headers={"Content-Encoding": "gzip"}),
    "cut": web.Response,
}


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
async def server(provider: Provider, aiohttp_server: Serve) -> TestServer:
    return await aiohttp_server(provider.app)


def fetch(server: TestServer, page: str, timeout_s: float = 10) -> HttpFetch:
    return HttpFetch(str(server.make_url(f"/{page}")), timeout_s=timeout_s, allow_http=True)


async def test_a_document_is_fetched_without_asking_for_compression(server: TestServer, provider: Provider) -> None:
    assert await fetch(server, "good")() == jwks_of(KEY)
    assert provider.fields["Accept-Encoding"] == "identity"
    assert "Cookie" not in provider.fields


@pytest.mark.parametrize(
    ("page", "code"),
    [("error", "status"), ("nothing", "status"), ("moved", "redirect"), ("huge", "too_large"), ("cut", "connect")],
)
async def test_what_is_no_document_is_a_failure_with_its_code(
    server: TestServer, provider: Provider, page: str, code: str
) -> None:
    with pytest.raises(FetchFailed) as failed:
        await fetch(server, page)()
    assert failed.value.code == code
    assert provider.hits == [page]


async def test_a_slow_drip_ends_at_the_deadline(server: TestServer, provider: Provider) -> None:
    with pytest.raises(FetchFailed) as failed:
        await fetch(server, "drip", timeout_s=0.05)()
    provider.release.set()
    assert failed.value.code == "timeout"


async def test_a_mebibyte_is_read_and_a_bomb_is_not_unpacked(server: TestServer) -> None:
    assert len(await fetch(server, "largest")()) == BODY_BYTES_MAX
    assert len(await fetch(server, "bomb")()) < BODY_BYTES_MAX


async def test_nobody_listening_is_a_failure(server: TestServer) -> None:
    gone = fetch(server, "good")
    await server.close()
    with pytest.raises(FetchFailed) as failed:
        await gone()
    assert failed.value.code == "connect"


async def test_bad_tls_is_a_failure(server: TestServer) -> None:
    plain = str(server.make_url("/good")).replace("http://", "https://")
    with pytest.raises(FetchFailed) as failed:
        await HttpFetch(plain)()
    assert failed.value.code in {"tls", "connect"}
    assert failed.value.__cause__ is None


async def test_proxies_of_the_environment_are_not_used(
    server: TestServer, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert await fetch(server, "good")()
    assert provider.hits == ["good"]


@pytest.mark.parametrize(
    "url",
    ["http://idp.example/k", "ftp://idp.example/k", "https:///k", "/k", "", "https://a:b@idp.example/k",
     "https://a@idp.example/k", "https://idp.example/k#x", "file:///etc/passwd"],
)  # fmt: skip
def test_only_a_plain_https_address_is_taken(url: str) -> None:
    with pytest.raises(ValueError, match="JWKS address"):
        HttpFetch(url)
    HttpFetch("https://idp.example/k?v=1")


async def test_a_token_is_verified_with_a_key_fetched_over_http(server: TestServer, provider: Provider) -> None:
    source = JwksSource(fetch(server, "good"), wait_s=10)
    verifier = Verifier([Issuer(ISSUER, frozenset({AUDIENCE}), jwks=source)], clock=lambda: NOW)
    text = mint_token(KEY, issuer=ISSUER, audience=AUDIENCE, tenant="acme", ttl_s=60, now=NOW)
    principals = await asyncio.gather(*(verifier.verify(text) for _ in range(100)))
    assert {principal.tenant for principal in principals} == {"acme"}
    await verifier.close()
    assert provider.hits == ["good"]


@pytest.mark.parametrize("member", ["jku", "x5u"])
async def test_an_address_inside_a_token_is_never_connected_to(
    server: TestServer, provider: Provider, member: str
) -> None:
    """ID04."""
    source = JwksSource(fetch(server, "good"))
    verifier = Verifier([Issuer(ISSUER, frozenset({AUDIENCE}), jwks=source)], clock=lambda: NOW)
    with pytest.raises(Unauthenticated) as refused:
        await verifier.verify(token(header={member: str(server.make_url("/good"))}))
    assert refused.value.code == "jwt_header"
    assert provider.hits == []

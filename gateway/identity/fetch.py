"""The one outbound connection of this room: a provider's JWKS document over HTTPS.

1. The address comes from the configuration, never from a token.
2. No redirects, no cookies, no proxy from the environment, no content coding, no second try; a bound on time and
   size.
"""

import ssl
from urllib.parse import urlsplit

import aiohttp

from gateway.identity.jwks import FetchFailed

BODY_BYTES_MAX = 1024 * 1024
_CHUNK_BYTES = 64 * 1024
_OK = 200


class HttpFetch:
    """Fetches one URL; an instance is the `fetch` of a `JwksSource`. Nothing is kept open in between."""

    def __init__(self, url: str, *, timeout_s: float = 5.0, allow_http: bool = False) -> None:
        """Connect to nothing yet.

        Args:
            url: absolute, `https`, without user name and fragment.
            timeout_s: for the whole fetch.
            allow_http: take `http` too, for a provider on the same host.

        Raises:
            ValueError: another kind of URL.
        """
        parsed = urlsplit(url)
        if parsed.scheme not in ({"https", "http"} if allow_http else {"https"}) or not parsed.hostname:
            raise ValueError("a JWKS address must be an absolute https URL")
        if "@" in parsed.netloc or parsed.fragment:
            raise ValueError("a JWKS address must have no user name and no fragment")
        self._url = url
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)

    async def __call__(self) -> bytes:
        """The document's bytes, at most 1 MiB, unread.

        Raises:
            FetchFailed: with `timeout`, `connect`, `tls`, `redirect`, `status` or `too_large`.
        """
        try:
            return await self._get()
        except (aiohttp.ClientError, OSError) as fault:
            failed = _translated(fault)
        raise failed

    async def _get(self) -> bytes:
        async with (
            aiohttp.ClientSession(
                timeout=self._timeout,
                trust_env=False,
                auto_decompress=False,
                middlewares=(_once,),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Accept": "application/jwk-set+json, application/json", "Accept-Encoding": "identity"},
            ) as session,
            session.get(self._url, allow_redirects=False) as response,
        ):
            if 300 <= response.status < 400:  # noqa: PLR2004 - the redirects
                raise FetchFailed("redirect")
            if response.status != _OK:
                raise FetchFailed("status")
            return await _read(response.content)


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Translate a lost connection here already: the client asks a second time when it sees one itself."""
    try:
        return await handler(request)
    except (aiohttp.ClientError, OSError) as fault:
        failed = _translated(fault)
    raise failed


def _translated(fault: Exception) -> FetchFailed:
    if isinstance(fault, TimeoutError):
        return FetchFailed("timeout")
    return FetchFailed("tls" if isinstance(fault, aiohttp.ClientSSLError | ssl.SSLError) else "connect")


async def _read(content: aiohttp.StreamReader) -> bytes:
    body = bytearray()
    async for chunk in content.iter_chunked(_CHUNK_BYTES):
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            raise FetchFailed("too_large")
    return bytes(body)

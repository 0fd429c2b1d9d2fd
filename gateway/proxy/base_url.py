"""The upstream's base URL: scheme, host, port; and what is built on it. Pure."""

import re

from yarl import URL

from gateway.addresses import is_private_literal

# They are seen also where they stand for something empty; `%` also begins the zone of an IPv6 address.
_SUPERFLUOUS = re.compile(r"[?#@%\\\s]")


def checked_base_url(text: str, *, allow_http: bool, allow_private: bool = False) -> URL:
    """Read a base URL.

    Args:
        text: `https://host` or `https://host:port`, with or without a last slash.
        allow_http: take `http://` too, where the simulator stands in for the upstream.
        allow_private: take a loopback or private address.

    Raises:
        ValueError: anything else. The message does not repeat it.
    """
    try:
        url = URL(text)
        host, port = url.host or "", url.port
    except (TypeError, ValueError):
        raise ValueError("the upstream's URL cannot be read") from None
    if url.scheme != "https" and not (allow_http and url.scheme == "http"):
        raise ValueError("the upstream's URL must begin with https://")
    if not host or not port or url.path != "/" or _SUPERFLUOUS.search(text):
        raise ValueError("the upstream's URL must be scheme, host and port, nothing more")
    if is_private_literal(host) and not allow_private:
        raise ValueError("the upstream's URL must not name a loopback or private address")
    return url

"""Base64url in its one canonical spelling (RFC 7515, section 2): no padding, no white space, no stray bits."""

import base64
import re

_ALPHABET = re.compile(r"[A-Za-z0-9_-]*")


def encode(raw: bytes) -> str:
    """The canonical spelling of `raw`."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def decode(text: str) -> bytes | None:
    """The bytes `text` stands for, or None when it is not their canonical spelling."""
    if not _ALPHABET.fullmatch(text) or len(text) % 4 == 1:
        return None
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    # A last character may carry bits that no byte takes: many spellings, one meaning.
    return raw if encode(raw) == text else None

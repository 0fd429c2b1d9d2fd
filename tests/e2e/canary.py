"""The key canary: looks for the master key, in every form somebody could meet it in, in whatever it is shown."""

import base64
import secrets
from urllib.parse import quote


def fresh_key() -> str:
    """A key of the real shape that exists nowhere else."""
    return f"DEZGO-{secrets.token_hex(35).upper()}"


def forms(key: str) -> dict[str, bytes]:
    """The key in the encodings it may leak in, by name."""
    raw = key.encode("ascii")
    # Base64 has three alignments; the ends depend on the neighbours, so the middle is what is looked for.
    aligned = {f"base64+{pad}": base64.b64encode(b"\0" * pad + raw)[4:-4] for pad in range(3)}
    return {
        "raw": raw,
        "lower": raw.lower(),
        "reversed": raw[::-1],
        "hex": raw.hex().encode(),
        "HEX": raw.hex().upper().encode(),
        "percent": "".join(f"%{byte:02X}" for byte in raw).encode(),
        "quoted": quote(key, safe="").encode(),
        "utf16": raw.decode().encode("utf-16-le"),
        "tail": raw[-32:],
        **aligned,
    }


class Canary:
    """Collects everything a world shows, and says where the key was found in it."""

    def __init__(self, key: str) -> None:
        self._forms = forms(key)
        self.found: list[str] = []
        self.bytes_seen = 0

    def look(self, where: str, shown: bytes | str) -> None:
        """Look through one thing."""
        piece = shown if isinstance(shown, bytes) else shown.encode("utf-8", "backslashreplace")
        self.bytes_seen += len(piece)
        self.found += [f"{where}: {name}" for name, form in self._forms.items() if form in piece]

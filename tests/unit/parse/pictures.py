"""Pictures: real ones from an independent encoder, and crafted ones that lie."""

import io
import struct
import zlib

from PIL import Image

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


def encoded(kind: str, width: int, height: int, *, mode: str = "RGB", **options: object) -> bytes:
    """A plain picture, encoded by Pillow as `kind`."""
    written = io.BytesIO()
    Image.new(mode, (width, height)).save(written, kind, **options)
    return written.getvalue()


def noisy(kind: str, width: int, height: int, **options: object) -> bytes:
    """A picture of noise, whose compressed bytes hold every value."""
    written = io.BytesIO()
    Image.effect_noise((width, height), 90).convert("RGB").save(written, kind, **options)
    return written.getvalue()


def chunk(kind: bytes, content: bytes = b"", *, crc: int | None = None) -> bytes:
    """One PNG chunk; its checksum is right unless given."""
    right = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", right if crc is None else crc)


def ihdr(width: int, height: int, tail: bytes = b"\x08\x02\x00\x00\x00", *, crc: int | None = None) -> bytes:
    """A PNG header chunk; `tail` is depth, colour, compression, filter and interlace."""
    return chunk(b"IHDR", struct.pack(">II", width, height) + tail, crc=crc)


def png(*chunks: bytes) -> bytes:
    """A PNG of these chunks."""
    return PNG_MAGIC + b"".join(chunks)


IDAT = chunk(b"IDAT", zlib.compress(b"\x00" * 64))
IEND = chunk(b"IEND")


def segment(marker: int, content: bytes) -> bytes:
    """One JPEG segment."""
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def sof(width: int, height: int, *, marker: int = 0xC0) -> bytes:
    """A JPEG frame header with one component."""
    return segment(marker, struct.pack(">BHHB", 8, height, width, 1) + b"\x01\x11\x00")


SOI = b"\xff\xd8"
EOI = b"\xff\xd9"
SOS = segment(0xDA, b"\x01\x01\x00\x00\x3f\x00") + b"\x12\x34\xff\x00\xff\xd0\x56"


def jpeg(*pieces: bytes) -> bytes:
    """A JPEG of these pieces, start and end marker added."""
    return SOI + b"".join(pieces) + EOI


def riff(*chunks: bytes, length: int | None = None) -> bytes:
    """A WebP file of these chunks; its size field is right unless given."""
    content = b"WEBP" + b"".join(chunks)
    return struct.pack("<4sI", b"RIFF", len(content) if length is None else length) + content


def webp_chunk(kind: bytes, content: bytes) -> bytes:
    """One RIFF chunk, padded."""
    return struct.pack("<4sI", kind, len(content)) + content + b"\x00" * (len(content) % 2)


def vp8(width: int, height: int, *, tag: bytes = b"\x10\x00\x00", start: bytes = b"\x9d\x01\x2a") -> bytes:
    """A lossy frame."""
    return webp_chunk(b"VP8 ", tag + start + struct.pack("<HH", width, height))


def vp8l(width: int, height: int, *, magic: int = 0x2F, version: int = 0) -> bytes:
    """A lossless frame."""
    bits = (width - 1) | (height - 1) << 14 | version << 29
    return webp_chunk(b"VP8L", struct.pack("<BI", magic, bits))


def vp8x(width: int, height: int, *, flags: int = 0) -> bytes:
    """A canvas."""
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return webp_chunk(b"VP8X", bytes([flags, 0, 0, 0]) + sides)

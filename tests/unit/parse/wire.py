"""Multipart bodies as widely used client libraries put them on the wire, byte by byte."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class File:
    """One uploaded file."""

    field: str
    filename: str
    content_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Style:
    """How a library writes: boundary, the header of a text and of a file part, what comes first and last."""

    boundary: str
    text: Callable[[str, bytes], str]
    file: Callable[[File], str]
    before: bytes = b""
    after: bytes = b"\r\n"
    quoted: bool = False

    @property
    def content_type(self) -> str:
        """The request's Content-Type."""
        mark = '"' if self.quoted else ""
        return f"multipart/form-data; boundary={mark}{self.boundary}{mark}"

    def body(self, params: Mapping[str, str], *files: File) -> bytes:
        """The whole body."""
        parts = [(self.text(name, value.encode()), value.encode()) for name, value in params.items()]
        parts += [(self.file(file), file.content) for file in files]
        lines = b"".join(self._part(header, content) for header, content in parts)
        return self.before + lines + f"--{self.boundary}--".encode() + self.after

    def _part(self, header: str, content: bytes) -> bytes:
        return f"--{self.boundary}\r\n{header}\r\n\r\n".encode() + content + b"\r\n"


def _text(name: str, _: bytes) -> str:
    return f'Content-Disposition: form-data; name="{name}"'


def _file(file: File) -> str:
    return (
        f'Content-Disposition: form-data; name="{file.field}"; filename="{file.filename}"\r\n'
        f"Content-Type: {file.content_type}"
    )


def _okhttp_text(name: str, value: bytes) -> str:
    return f"{_text(name, value)}\r\nContent-Transfer-Encoding: binary\r\nContent-Length: {len(value)}"


def _okhttp_file(file: File) -> str:
    return f"{_file(file)}\r\nContent-Length: {len(file.content)}"


def _dart_text(name: str, value: bytes) -> str:
    kind = "content-type: text/plain; charset=utf-8\r\ncontent-transfer-encoding: binary\r\n"
    return f'{kind if not value.isascii() else ""}content-disposition: form-data; name="{name}"'


def _dart_file(file: File) -> str:
    return (
        f'content-type: {file.content_type}\r\ncontent-disposition: form-data; name="{file.field}"; '
        f'filename="{file.filename}"'
    )


def _ktor_text(name: str, value: bytes) -> str:
    return f"Content-Disposition: form-data; name={name}\r\nContent-Length: {len(value)}"


def _ktor_file(file: File) -> str:
    return (
        f"Content-Disposition: form-data; name={file.field}; filename={file.filename}\r\n"
        f"Content-Type: {file.content_type}\r\nContent-Length: {len(file.content)}"
    )


def _dotnet_text(name: str, _: bytes) -> str:
    return f"Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name={name}"


def _dotnet_file(file: File) -> str:
    return (
        f"Content-Disposition: form-data; name={file.field}; filename={file.filename}; filename*=utf-8''{file.filename}"
    )


def _unity_text(name: str, _: bytes) -> str:
    return f'Content-Disposition: form-data; name="{name}"\r\nContent-Type: text/plain; charset="utf-8"'


STYLES = {
    "browser": Style("----WebKitFormBoundary7MA4YWxkTrZu0gW", _text, _file),
    "form-data": Style("--------------------------515890814546601021194782", _text, _file),
    "axios": Style("axios-1.7.2-boundary-Vb4bTsZQ_4HAz1K", _text, _file, after=b"\r\n\r\n"),
    "undici": Style("----formdata-undici-055549814367", _text, _file, after=b""),
    "curl": Style("------------------------d74496d66958873e", _text, _file),
    "okhttp": Style("3f4a2d6c-6c0e-4f7c-9d2b-7a4a2d6c6c0e", _okhttp_text, _okhttp_file),
    "dio": Style("--dio-boundary-0357468283", _dart_text, _dart_file),
    "dart-http": Style("dart-http-boundary-_8a.+1Bc", _dart_text, _dart_file),
    "ktor": Style("-5d1f3f9a-2b7c5e1d4a3f", _ktor_text, _ktor_file, after=b"\r\n\r\n"),
    "dotnet": Style("9a8f0c4e-3b1d-4f8e-a7c2-1d2e3f4a5b6c", _dotnet_text, _dotnet_file, quoted=True),
    "unity": Style("Tz8QyV1bYwJd0x3nQmLk", _unity_text, _file, before=b"\r\n", quoted=True),
    "by hand": Style("----PythonBoundaryabc123", _text, _file),
}

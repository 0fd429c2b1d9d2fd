"""Read: one request's parameters, as far as they are priced, become a Job. The way into this room."""

import re
from collections.abc import Sequence
from urllib.parse import unquote_plus

from gateway.errors import BadHttp, BadImage, BadParameter, DuplicateParameter
from gateway.parse import values
from gateway.parse.base64image import decode_image
from gateway.parse.buffer import Source
from gateway.parse.fields import Fields, Number, Part, Value
from gateway.parse.formbody import decoded_base64, read_form
from gateway.parse.images import ImageRefused, image_size
from gateway.parse.jsonbody import read_json
from gateway.parse.limits import Limits
from gateway.parse.mediatype import Encoding, read_encoding
from gateway.parse.model import model_in
from gateway.parse.multipart import read_multipart
from gateway.parse.names import Names, names_of
from gateway.pricing.job import Job, Size
from gateway.pricing.tariff import Kind, Method

QUERY_CHARS_MAX = 8_192

_SEPARATORS = re.compile("[&;]")
_ELSEWHERE = "must be given once, in the body: some readers see it a second time"


def read_job(method: Method, *, content_type: Sequence[str], query: str, body: Source, limits: Limits) -> Job:
    """What `body` asks of `method`, as far as it changes the price: the one reading every reader would come to.

    Args:
        method: its entry in the tariff; `parameters` says what is read.
        content_type: the values of all Content-Type fields.
        query: the raw query string, without `?`.
        body: as it will be forwarded, byte for byte.
        limits: bounds on the values.

    Raises:
        UnsupportedMediaType: not exactly one of JSON, urlencoded and multipart, in UTF-8.
        BadBody: not what its content type says, or not in one way only.
        BadParameter: a priced value does not parse or is out of bounds, or the priced image is missing.
        DuplicateParameter: a priced parameter comes twice, in the query, or under a name some reader takes for it.
        BadImage: the priced image has no one size. `detail` is a machine reason.
        TokenInUrl: a field has a credential's name.
        BadHttp: the query is longer than 8 KiB.
    """
    names = names_of(tuple(method.parameters))
    if query:
        _refuse_in_query(names, query)
    fields = _decode(content_type, body)
    return _job(method, _priced(names, fields), limits, model_in(fields))


def _decode(content_type: Sequence[str], body: Source) -> Fields:
    encoding, boundary = read_encoding(content_type)
    if encoding is Encoding.JSON:
        return read_json(body)
    if encoding is Encoding.FORM:
        return read_form(body[:])
    return read_multipart(body, boundary)


def _refuse_in_query(names: Names, query: str) -> None:
    if len(query) > QUERY_CHARS_MAX:
        raise BadHttp("the query string is longer than 8 KiB")
    for piece in _SEPARATORS.split(query):
        alike = names.taken_for(unquote_plus(piece.partition("=")[0]))
        if alike is not None:
            raise DuplicateParameter(alike, "belongs in the body, not in the URL")


def _priced(names: Names, fields: Fields) -> dict[str, Value]:
    """The priced fields, each there once."""
    priced: dict[str, Value] = {}
    for name, value in fields.read:
        if names.is_priced(name):
            if name in priced:
                raise DuplicateParameter(name, "is given more than once")
            priced[name] = value
    for shadow in fields.shadows:
        alike = names.taken_for(shadow)
        if alike is not None:
            raise DuplicateParameter(alike, _ELSEWHERE)
    return priced


def _job(method: Method, priced: dict[str, Value], limits: Limits, model: str | None) -> Job:
    kinds = method.parameters
    sides: dict[str, int | None] = {}
    steps: int | None = None
    upscaled, loras, options = False, 0, []
    for name, value in priced.items():
        kind = kinds[name]
        if kind is Kind.IMAGE:
            continue
        said = values.plain(name, value)
        if kind is Kind.SIDE:
            sides[name] = values.whole(name, said, limits.side_max)
        elif kind is Kind.STEPS:
            steps = values.whole(name, said, limits.steps_max)
        elif kind is Kind.UPSCALE:
            upscaled = values.upscaled(name, said)
        elif kind is Kind.LORA:
            loras += values.lora(name, said)
        elif values.option(name, said):
            options.append(name)
    return Job(
        method=method.name,
        width=sides.get("width"),
        height=sides.get("height"),
        steps=steps,
        upscaled=upscaled,
        loras=loras,
        options=frozenset(options),
        image=_image(method.image_parameter, priced, limits.pixels_max),
        model=model,
    )


def _image(name: str | None, priced: dict[str, Value], pixels_max: int) -> Size | None:
    """The size of the priced image; None for a method that prices none."""
    if name is None:
        return None
    value = priced.get(name)
    if value is None:
        raise BadParameter(name, "is required: the price depends on its size")
    try:
        return image_size(_file(name, value), pixels_max=pixels_max)
    except ImageRefused as refusal:
        raise BadImage(name, refusal.reason) from None


def _file(name: str, value: Value) -> bytes | memoryview:
    if isinstance(value, Part):
        return _uploaded(name, value)
    if isinstance(value, bytes):
        return decode_image(decoded_base64(value))
    if isinstance(value, str) and not isinstance(value, Number):
        return decode_image(value.encode("ascii", "replace"))
    raise BadParameter(name, "must be an image file, or base64 text of one")


def _uploaded(name: str, part: Part) -> memoryview:
    # Some readers drop a file with an empty name, or know only one of the two ways to name a file.
    if (part.filename == "" and part.content) or (part.starred and part.filename is None):
        raise BadParameter(name, "must be a file with a plain file name, or have none")
    return part.content

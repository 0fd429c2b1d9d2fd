"""What a client sent that cannot be served as it stands."""

from dataclasses import dataclass

from gateway.errors.root import GatewayError


class BadRequest(GatewayError):
    """What the client sent cannot be served as it stands. The client must change it.

    Where there is a `detail`, it says what is wrong, in our words.
    """


class UnknownPath(BadRequest):
    """No route has this path."""

    reason = "unknown_path"


@dataclass(eq=False)
class VerbNotAllowed(BadRequest):
    """The path exists, but not for this HTTP method.

    `allowed` lists those it has.
    """

    allowed: tuple[str, ...]
    reason = "method_not_allowed"


@dataclass(eq=False)
class BadHttp(BadRequest):
    """The message breaks a rule of HTTP, or one of ours that keeps it unambiguous."""

    detail: str
    reason = "bad_http"


class HeadTooLarge(BadRequest):
    """The request line or the header fields are too long, or too many."""

    reason = "head_too_large"


class TokenInUrl(BadRequest):
    """A credential stands in the URL or in the body, where logs and proxies would keep it."""

    reason = "token_in_url"


class AmbiguousCredentials(BadRequest):
    """Two different tokens in one request."""

    reason = "ambiguous_credentials"


@dataclass(eq=False)
class BodyTooLarge(BadRequest):
    """The body passes `body_bytes_max` bytes."""

    body_bytes_max: int
    reason = "body_too_large"


@dataclass(eq=False)
class BodyTooSlow(BadRequest):
    """The body did not arrive within `body_timeout_s` seconds, or below `bytes_per_s_min` bytes a second meanwhile."""

    body_timeout_s: float
    bytes_per_s_min: int
    reason = "body_too_slow"


class ExpectationFailed(BadRequest):
    """An `Expect` other than `100-continue`."""

    reason = "expectation_failed"


@dataclass(eq=False)
class UnsupportedMediaType(BadRequest):
    """The content type is missing, doubled or none of JSON, urlencoded and multipart; or the body is coded."""

    detail: str
    reason = "unsupported_media_type"


@dataclass(eq=False)
class BadBody(BadRequest):
    """The body is not what its content type says."""

    detail: str
    reason = "bad_body"


@dataclass(eq=False)
class BadParameter(BadRequest):
    """A priced parameter has no single readable value.

    The value itself is never kept.

    Attributes:
        parameter: the name out of our own closed list.
        detail: what it must be, in our words.
    """

    parameter: str
    detail: str
    reason = "invalid_parameter"


class DuplicateParameter(BadParameter):
    """A priced parameter is given more than once, or under a name that some reader takes for it."""

    reason = "duplicate_parameter"


class BadImage(BadParameter):
    """An uploaded image whose size cannot be read in exactly one way.

    `detail` is a machine reason, such as `crc` or `two_sof`.
    """

    reason = "bad_image"


@dataclass(eq=False)
class BadHeader(BadRequest):
    """One of the gateway's own request fields is unreadable."""

    header: str
    detail: str
    reason = "bad_header"

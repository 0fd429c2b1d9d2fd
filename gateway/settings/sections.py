"""The sections of `gateway.yaml`, one model each. Every key has its default, its bounds and its meaning here.

A bound that involves two keys of one section stands with the second of them; bounds across sections stand in
`crossing`.
"""

from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, ValidationInfo, field_validator

from gateway.addresses import is_private_literal
from gateway.ledger.store.address import read_url
from gateway.messages import Flavour
from gateway.settings.faults import refuse
from gateway.settings.issuers import Identity
from gateway.settings.shape import (
    Amount,
    FilePath,
    Rules,
    Seconds,
    SecretRef,
    Text,
    Usd,
    matching,
    web_schemes,
    web_url,
)
from gateway.units import Credits

Port = Annotated[int, Field(ge=0, le=65535)]


def _network(text: str) -> str:
    try:
        return str(ip_network(text))
    except ValueError:
        raise refuse("must be an address or a network such as 10.0.0.0/8") from None


Network = Annotated[Text, AfterValidator(_network)]
Origin = Annotated[
    Text,
    matching(r"https?://[a-z0-9.-]{1,253}(?::[0-9]{1,5})?", "an origin such as https://app.example, in lower case"),
]

_OFFICIAL = {Flavour.DIRECT: "https://api.dezgo.com", Flavour.RAPIDAPI: "https://dezgo.p.rapidapi.com"}


class Listen(Rules):
    """The front door, where clients come in."""

    host: Text = Field(default="0.0.0.0", description="Address to listen on.")  # noqa: S104 - it is a front door
    port: Port = Field(default=8080, description="TCP port; 0 takes any free one.")
    workers: int = Field(default=1, ge=1, le=64, description="Processes that take calls, one a core.")
    connections_max: int = Field(
        default=10_000, ge=1, le=1_000_000, description="Connections at once; fewer where open files do not suffice."
    )
    connections_per_address_max: int | None = Field(
        default=None, ge=1, le=1_000_000, description="Of one address, trusted proxies left out; null: no such bound."
    )
    idle_timeout_s: Seconds = Field(
        default=75.0, gt=0, le=3600, description="Seconds for a connection to send the whole head of its next request."
    )
    request_timeout_s: Seconds | None = Field(
        default=None,
        gt=0,
        le=86_400,
        description="Seconds from a request's first byte to its answer's last; null: twice what its parts may take.",
    )
    trusted_proxies: tuple[Network, ...] = Field(
        default=(), max_length=64, description="Networks of proxies: their X-Forwarded-For is believed."
    )
    cors_origins: tuple[Origin, ...] = Field(
        default=(), max_length=64, description="Origins whose pages may call from a browser; none unless given."
    )


class Ops(Rules):
    """The second listener: metrics, health and administration."""

    host: Text = Field(default="127.0.0.1", description="Address to listen on. Keep it private.")
    port: Port = Field(default=8081, description="TCP port, not the front door's; 0 takes any free one.")
    allow_open: bool = Field(
        default=False, description="Show metrics without a token on an address that is not loopback."
    )
    token: SecretRef | None = Field(
        default=None,
        description="Where the bearer token for metrics is found; needed when host is no loopback address.",
    )


class Upstream(Rules):
    """The image API and the master key to it."""

    flavour: Annotated[Flavour, Field(strict=False)] = Field(
        default=Flavour.DIRECT, description="How the account was bought: direct or rapidapi."
    )
    allow_http: bool = Field(default=False, description="Allow an http:// url: for the simulator only.")
    allow_private: bool = Field(
        default=False, description="Allow an upstream at a loopback or private address: a simulator, a mirror."
    )
    url: str = Field(default="", validate_default=True, description="Base URL; null takes the flavour's official one.")
    key: SecretRef = Field(
        default_factory=lambda: SecretRef(env="DEZGO_API_KEY"), description="Where the master key is found."
    )
    connect_timeout_s: Seconds = Field(default=5.0, gt=0, le=60, description="Seconds to connect within.")
    total_timeout_s: Seconds = Field(default=300.0, gt=0, le=3600, description="Seconds for one whole call.")
    head_timeout_s: Seconds = Field(
        default=180.0, gt=0, description="Seconds to wait for the head of an answer; at most total_timeout_s."
    )
    read_timeout_s: Seconds = Field(default=60.0, gt=0, le=3600, description="Seconds between two pieces of a body.")
    connections_max: int = Field(default=200, ge=1, le=10_000, description="Connections open at the same time.")
    calls_at_once: int | None = Field(
        default=None,
        ge=1,
        le=10_000,
        description="Paid calls the upstream takes at the same time, connections_max at most; null: no queue.",
    )
    queue_max: int = Field(default=200, ge=0, le=10_000, description="Calls that may wait for their turn beyond those.")
    queue_wait_s: Seconds = Field(default=10.0, gt=0, le=600, description="Seconds a call may wait for its turn.")
    floor_credits: Amount = Field(
        default=Credits.ZERO, description="Credits of the account that are never spent; calls that would are refused."
    )
    exhausted_s: Seconds = Field(
        default=30.0, gt=0, le=3600, description="Seconds between two attempts to find an exhausted account filled."
    )
    usd_per_credit: Usd = Field(
        default=0.0001, gt=0, le=1, description="USD a credit costs on the account's plan; for what is shown."
    )
    ca_file: FilePath | None = Field(
        default=None, description="PEM file of the certificate authorities to trust; null takes the system's."
    )

    @field_validator("url", mode="before")
    @classmethod
    def _official(cls, value: object, known: ValidationInfo) -> object:
        return _OFFICIAL[known.data.get("flavour", Flavour.DIRECT)] if value in (None, "") else value

    @field_validator("url")
    @classmethod
    def _base(cls, value: str, known: ValidationInfo) -> str:
        schemes = web_schemes(allow_http=known.data.get("allow_http", True))
        parts = web_url(value, schemes=schemes)
        if parts.path.strip("/"):
            raise refuse("must have no path: the paths are the upstream's own")
        if is_private_literal(parts.hostname or "") and not known.data.get("allow_private", True):
            raise refuse("must not be a loopback or private address", "allow_private allows one")
        return value.rstrip("/")

    @field_validator("calls_at_once")
    @classmethod
    def _connected(cls, value: int | None, known: ValidationInfo) -> int | None:
        if value is not None and value > known.data.get("connections_max", value):
            raise refuse("must be at most connections_max", "each call needs a connection of its own")
        return value

    @field_validator("head_timeout_s")
    @classmethod
    def _within_total(cls, value: float, known: ValidationInfo) -> float:
        if value > known.data.get("total_timeout_s", value):
            raise refuse("must be at most total_timeout_s")
        return value


def check_store_url(value: str, *, password: bool = False) -> str:
    """Refuse what is no URL of a store, and a password in it unless `password` allows one."""
    try:
        url = read_url(value)
    except ValueError:
        raise refuse(
            "must be a URL such as redis://host:6379/0",
            "redis:// or rediss://, unix://, redis+cluster://a:1,b:2 or redis+sentinel://a,b/name",
        ) from None
    if url.password is not None and not password:
        raise refuse("must not hold a password", "move the URL to an environment variable or file: {env: …}")
    return value


def _form(value: object) -> str:
    return "reference" if isinstance(value, dict | SecretRef) else "text"


StoreUrl = Annotated[
    Annotated[SecretRef, Tag("reference")] | Annotated[Text, AfterValidator(check_store_url), Tag("text")],
    Discriminator(_form),
]


class Ledger(Rules):
    """Where balances live, and what a hold sets aside."""

    url: StoreUrl | None = Field(
        default=None,
        description="Redis or Valkey: a URL without password, or env/file of one with it; null: the bundled Valkey.",
    )
    data_dir: FilePath = Field(
        default=Path(".dezgo-gateway"), description="Directory of the bundled Valkey and of unsent settles."
    )
    fsync: Literal["everysec", "always"] = Field(
        default="always", description="When the bundled Valkey makes a write safe: before it answers, or every second."
    )
    hold: Literal["quote", "ceiling"] = Field(
        default="quote", description="What is set aside: the floored quote, or each line rounded up."
    )
    hold_ttl_s: Seconds = Field(
        default=900.0,
        gt=0,
        le=604_800,
        description="Seconds until an unresolved hold is booked; at least 2 total_timeout_s + drain_s + queue_wait_s.",
    )
    deadline_s: Seconds = Field(default=0.3, gt=0, le=10, description="Seconds for one call to the store.")
    durability: Literal["local", "replicated"] = Field(
        default="local", description="When a hold counts: written to the store, or to `replicas` of its replicas too."
    )
    replicas: int = Field(default=1, ge=1, le=10, description="Replicas that must have a write; for replicated alone.")
    ca_file: FilePath | None = Field(
        default=None, description="PEM file of the authorities to trust for rediss://; null takes the system's."
    )
    allow_unsafe_store: bool = Field(
        default=False, description="Serve on a store that evicts or does not persist: balances may be lost."
    )


class Idempotency(Rules):
    """Calls that are to be made once: those with an `Idempotency-Key`."""

    kept_s: Seconds = Field(
        default=86_400.0,
        ge=86_400,
        le=604_800,
        description="Seconds a key is remembered from its first call on; at least ledger.hold_ttl_s.",
    )


class Bodies(Rules):
    """Bounds on what clients send."""

    bytes_max: int = Field(default=33_554_432, ge=1024, le=2**30, description="Bytes of one request body.")
    memory_bytes_max: int = Field(
        default=1_048_576, ge=1024, le=2**30, description="Bytes of one body held in memory; a larger one goes to disk."
    )
    in_flight_bytes_max: int = Field(
        default=134_217_728,
        ge=524_288,
        le=2**36,
        description="Bytes of all bodies in memory at once; at least memory_bytes_max.",
    )
    spool_dir: FilePath | None = Field(
        default=None, description="Directory of bodies on disk; null: `bodies` in ledger.data_dir."
    )
    spool_bytes_max: int = Field(
        default=1_073_741_824, le=2**46, description="Bytes of all bodies on disk at once; at least bytes_max."
    )
    timeout_s: Seconds = Field(default=60.0, gt=0, le=600, description="Seconds for a body to arrive.")
    bytes_per_s_min: int = Field(default=1024, ge=1, le=2**30, description="Bytes a second a body must arrive at.")
    stall_s: Seconds = Field(default=10.0, gt=0, le=600, description="Seconds a body may fall behind bytes_per_s_min.")

    @field_validator("in_flight_bytes_max")
    @classmethod
    def _holds_one(cls, value: int, known: ValidationInfo) -> int:
        if value < known.data.get("memory_bytes_max", value):
            raise refuse("must be at least memory_bytes_max, or no such body is ever admitted")
        return value

    @field_validator("spool_bytes_max")
    @classmethod
    def _keeps_one(cls, value: int, known: ValidationInfo) -> int:
        if value < known.data.get("bytes_max", value):
            raise refuse("must be at least bytes_max, or no large body is ever admitted")
        return value


class Images(Rules):
    """Bounds on uploaded images."""

    pixels_max: int = Field(default=33_554_432, ge=1, le=2**31, description="Pixels of one uploaded image.")


class Answers(Rules):
    """Bounds on how answers are taken."""

    write_timeout_s: Seconds = Field(
        default=30.0, gt=0, le=600, description="Seconds for a client to take the next piece of its answer."
    )
    bytes_per_s_min: int = Field(
        default=1024, ge=1, le=2**30, description="Bytes a second a client takes, or falls behind by write_timeout_s."
    )


class Shutdown(Rules):
    """The way down."""

    lame_duck_s: Seconds = Field(
        default=5.0, ge=0, le=600, description="Seconds from SIGTERM on in which calls are taken, though not ready."
    )
    drain_s: Seconds = Field(default=20.0, ge=0, le=3600, description="Seconds for running calls to end after that.")


class Logs(Rules):
    """What is logged."""

    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Least severe level.")


class Metrics(Rules):
    """What metrics show."""

    users: bool = Field(default=True, description="Show what users were charged, a bounded number of them by name.")


class Traces(Rules):
    """W3C trace context and OpenTelemetry spans."""

    forward: bool = Field(default=True, description="Pass a caller's traceparent on to the upstream.")
    spans: bool = Field(
        default=False, description="Send OpenTelemetry spans; needs the extra otel, and OTEL_* variables say where to."
    )


class GatewayFile(Rules):
    """All of `gateway.yaml`."""

    listen: Listen = Field(default_factory=Listen, description="The front door.")
    ops: Ops = Field(default_factory=Ops, description="The second listener: metrics, health, administration.")
    upstream: Upstream = Field(default_factory=Upstream, description="The image API and the master key to it.")
    identity: Identity = Field(description="Whose tokens are believed.")
    ledger: Ledger = Field(default_factory=Ledger, description="Where balances live.")
    idempotency: Idempotency = Field(default_factory=Idempotency, description="Calls that are to be made once.")
    bodies: Bodies = Field(default_factory=Bodies, description="Bounds on what clients send.")
    images: Images = Field(default_factory=Images, description="Bounds on uploaded images.")
    answers: Answers = Field(default_factory=Answers, description="Bounds on how answers are taken.")
    shutdown: Shutdown = Field(default_factory=Shutdown, description="The way down.")
    logs: Logs = Field(default_factory=Logs, description="What is logged.")
    metrics: Metrics = Field(default_factory=Metrics, description="What metrics show.")
    traces: Traces = Field(default_factory=Traces, description="Trace context and spans.")

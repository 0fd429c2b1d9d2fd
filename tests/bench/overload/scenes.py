"""The scenes: what bad clients do, under which settings, for how long, and what must be kept."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.bench.overload.attack import Plan

_UPLOAD_BYTES = 10_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One scene.

    Attributes:
        name: as the command line and the figures have it.
        plan: of the bad clients.
        environ: settings of the gateway, by environment.
        seconds: of honest traffic, alone and again beside the bad clients.
        deadline_s: of the bad clients' connections, once all are there; None where they may stay.
        rss_max_mb: for the gateway's memory at its peak.
        upstream_s: what the upstream takes for large bodies.
    """

    name: str
    plan: Plan
    environ: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 8.0
    deadline_s: float | None = None
    rss_max_mb: float | None = None
    upstream_s: float = 0.0


def _set(**said: object) -> dict[str, str]:
    """Settings by environment: `listen__idle_timeout_s=5`."""
    return {f"DEZGO_GATEWAY__{name.upper()}": str(value) for name, value in said.items()}


# Room on disk for all of them; and enough upstream connections that those who wait there keep nobody else waiting.
_ROOM = _set(bodies__spool_bytes_max=4 * 2**30, upstream__connections_max=400)


def _uploads(name: str, *, kind: str, environ: Mapping[str, str], whole: bool) -> Scene:
    plan = Plan(
        count=300,
        per_s=100,
        line="POST /image2image HTTP/1.1",
        kind=kind,
        body_bytes=_UPLOAD_BYTES,
        burst_bytes=_UPLOAD_BYTES if whole else _UPLOAD_BYTES - 100_000,
        burst_bytes_per_s=1_000_000,
    )
    return Scene(name=name, plan=plan, environ=environ, seconds=20.0, rss_max_mb=400.0, upstream_s=20.0)


SCENES: tuple[Scene, ...] = (
    Scene(
        name="slow_header",
        plan=Plan(count=5_000, kind="none"),
        environ=_set(listen__idle_timeout_s=5),
        deadline_s=5.0,
    ),
    Scene(
        name="slow_body",
        plan=Plan(count=1_000, body_bytes=100_000),
        environ=_set(bodies__stall_s=4),
        deadline_s=4.0,
    ),
    Scene(
        name="slow_reading",
        plan=Plan(count=1_000, per_s=250, body_bytes=64, burst_bytes=64, reads=False),
        environ=_set(answers__write_timeout_s=3),
        seconds=10.0,
        deadline_s=3.0,
    ),
    _uploads("uploads_unfinished", kind="multipart", environ=_ROOM, whole=False),
    _uploads("uploads_waiting", kind="multipart", environ=_ROOM, whole=True),
    _uploads("uploads_waiting_json", kind="json", environ=_ROOM, whole=True),
    _uploads("uploads_as_shipped", kind="multipart", environ={}, whole=False),
)

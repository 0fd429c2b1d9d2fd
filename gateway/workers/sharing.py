"""Sharing: the bounds of a gateway -> those of one of its workers. Each has an even share, never less than it needs."""

from gateway.settings import Settings


def share_of(settings: Settings, workers: int) -> Settings:
    """The settings of one worker among `workers`."""
    bodies, upstream = settings.bodies, settings.upstream
    # A worker must still be able to take the largest body there may be.
    in_flight = max(bodies.memory_bytes_max, bodies.in_flight_bytes_max // workers)
    on_disk = max(bodies.bytes_max, bodies.spool_bytes_max // workers)
    at_once = upstream.calls_at_once
    shares = {
        "connections_max": max(1, upstream.connections_max // workers),
        "calls_at_once": None if at_once is None else max(1, at_once // workers),
        "queue_max": max(1, upstream.queue_max // workers),
    }
    clients = max(1, settings.listen.connections_max // workers)
    return settings.model_copy(
        update={
            "listen": settings.listen.model_copy(update={"connections_max": clients}),
            "bodies": bodies.model_copy(update={"in_flight_bytes_max": in_flight, "spool_bytes_max": on_disk}),
            "upstream": upstream.model_copy(update=shares),
        }
    )

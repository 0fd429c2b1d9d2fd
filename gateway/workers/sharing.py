"""Sharing: the bounds of a gateway -> those of one of its workers. Each has an even share, never less than it needs."""

from gateway.settings import Settings


def share_of(settings: Settings, workers: int) -> Settings:
    """The settings of one worker among `workers`."""
    bodies, upstream = settings.bodies, settings.upstream
    # A worker must still be able to take the largest body there may be.
    in_flight = max(bodies.bytes_max, bodies.in_flight_bytes_max // workers)
    connections = max(1, upstream.connections_max // workers)
    return settings.model_copy(
        update={
            "bodies": bodies.model_copy(update={"in_flight_bytes_max": in_flight}),
            "upstream": upstream.model_copy(update={"connections_max": connections}),
        }
    )

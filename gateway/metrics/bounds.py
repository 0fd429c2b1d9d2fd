"""Bounds: the series about what is held of clients: connections, and the bodies they have sent."""

from gateway.metrics.series import Reading, Series, counter, gauge

CONNECTIONS = gauge("connections_open", "Connections of clients that are open.")
REFUSED = counter("connections_refused_total", "Connections of clients that found no room.")
ENDED = counter("connections_overdue_total", "Connections of clients that were ended because they had had their time.")
IN_MEMORY = gauge("bodies_memory_bytes", "Bytes of request bodies set aside in memory.")
ON_DISK = gauge("bodies_disk_bytes", "Bytes of request bodies set aside on disk.")

BOUNDS_SERIES: tuple[Series, ...] = (CONNECTIONS, REFUSED, ENDED, IN_MEMORY, ON_DISK)


def bounds_readings(
    *, connections: Reading, refused: Reading, ended: Reading, in_memory: Reading, on_disk: Reading
) -> dict[Series, Reading]:
    """What is read at every scrape."""
    return {CONNECTIONS: connections, REFUSED: refused, ENDED: ended, IN_MEMORY: in_memory, ON_DISK: on_disk}

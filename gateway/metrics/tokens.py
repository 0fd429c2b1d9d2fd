"""Tokens: how well the verified ones are remembered, read at every scrape."""

from typing import Protocol

from gateway.metrics.series import Reading, Series, counter, gauge

HITS = counter("token_cache_hits_total", "Tokens that were known from an earlier request.")
MISSES = counter("token_cache_misses_total", "Tokens that had to be verified, whatever they proved.")
ENTRIES = gauge("token_cache_entries", "Verified tokens that are remembered.")

TOKEN_SERIES: tuple[Series, ...] = (HITS, MISSES, ENTRIES)

# Those of them that are counters.
TOKEN_READ = (HITS, MISSES)


class TokenCache(Protocol):
    """Whoever remembers tokens."""

    @property
    def cache_hits(self) -> int:
        """Tokens that were known."""
        ...

    @property
    def cache_misses(self) -> int:
        """Tokens that were not."""
        ...

    @property
    def cached(self) -> int:
        """Tokens remembered now."""
        ...


def token_readings(cache: TokenCache) -> dict[Series, Reading]:
    """What a scrape reads of it."""
    return {HITS: lambda: cache.cache_hits, MISSES: lambda: cache.cache_misses, ENTRIES: lambda: cache.cached}

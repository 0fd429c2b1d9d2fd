"""Queries: what the view Operations asks of the chosen gateways."""

from grafana.build.panels import SHARES, Query


def of(metric: str, *further: str) -> str:
    """A metric of the chosen gateways."""
    chosen = ", ".join(('instance=~"$instance"', *further))
    return f"dezgo_gateway_{metric}{{{chosen}}}"


def rate(metric: str, *by: str) -> Query:
    """How often a second, by these labels."""
    legend = " ".join(f"{{{{{label}}}}}" for label in by)
    return Query(f"sum by ({', '.join(by)}) (rate({of(metric)}[$__rate_interval]))", legend)


def total(metric: str, legend: str) -> Query:
    """How often, or how much, in the chosen range."""
    return Query(f"sum(increase({of(metric)}[$__range])) or vector(0)", legend)


def quantiles(metric: str, *further: str) -> list[Query]:
    """What half of a histogram, 95 % and 99 % of it lie below."""
    rates = f"sum by (le) (rate({of(metric + '_bucket', *further)}[$__rate_interval]))"
    return [Query(f"histogram_quantile({share}, {rates})", name) for share, (name, _) in SHARES.items()]

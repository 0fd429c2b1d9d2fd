"""Metrics: what every request and the ledger tell Prometheus. The only room that knows prometheus_client."""

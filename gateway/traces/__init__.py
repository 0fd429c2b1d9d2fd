"""Traces: a request's place among the calls it belongs to. `spans` alone knows OpenTelemetry, and only if asked for."""

"""Logs: one canonical line per request, redacted, written off the loop. The only room that knows structlog."""

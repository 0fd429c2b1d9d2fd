"""Turns: the queue before the upstream, where it takes only so many calls at once. Knows no HTTP and no ledger."""

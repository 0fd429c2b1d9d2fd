"""The way to Redis or Valkey: address -> topology -> link -> wire, and `Store`, which the keeper knows of them all."""

from gateway.ledger.store.script import Script
from gateway.ledger.store.store import Store

__all__ = ["Script", "Store"]

"""Wing 2: who may still spend. Knows credits, windows, holds; no HTTP, no tariff, no token (walls 2 and 3)."""

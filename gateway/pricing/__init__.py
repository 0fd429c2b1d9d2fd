"""Wing 1: what things cost. Pure: no clock, no I/O, no HTTP (walls 1 and 3)."""

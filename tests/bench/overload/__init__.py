"""Overload: what slow and greedy clients do to honest ones, and to the gateway's memory."""

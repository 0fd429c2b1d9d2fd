"""The front door: the only room that answers a client (wall 4)."""

"""The back door: the only room that speaks to the upstream (wall 4) and that can open the master key (wall 15)."""

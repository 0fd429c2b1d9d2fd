"""The simulator, tested as the upstream it stands in for."""

"""A proxy between a ledger and its real store that does wrong what networks do wrong, as a test tells it to."""

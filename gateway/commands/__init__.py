"""What the command line runs, one file a command or two; `cli` reads the flags and calls these."""

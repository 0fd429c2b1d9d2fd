"""`python -m gateway` is the command line, and so is `dezgo-gateway`."""

import gc

# Objects made, and not freed, before the collector looks for cycles. What a command imports stays: looking through it
# again and again takes a tenth of its start or more. Who serves sets bounds of its own.
COLLECTED_AFTER = 100_000


def main() -> None:
    """Run the command line."""
    gc.set_threshold(COLLECTED_AFTER)
    from gateway.cli import main as run  # noqa: PLC0415 - imported once the collector is told

    run()


if __name__ == "__main__":
    main()

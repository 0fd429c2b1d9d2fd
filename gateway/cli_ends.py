"""How a command ends: what it raises is turned into words for standard error, and into an exit status."""

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import typer

from gateway.settings import Settings, SettingsError, default_config_dir, load_settings

# What a wrong configuration or question ends with; 1 is for everything that fails while running.
EXIT_WRONG = 2


def settings_of(config: Path | None, *, secrets: bool = True) -> Settings:
    """The checked settings; all faults go to standard error, and the command ends with 2."""
    try:
        return load_settings(config or default_config_dir(), os.environ, require_secrets=secrets)
    except SettingsError as error:
        for fault in error.faults:
            print(fault, file=sys.stderr)
        count = len(error.faults)
        print(f"{count} fault{'s' if count != 1 else ''}; nothing was started", file=sys.stderr)
        raise typer.Exit(EXIT_WRONG) from None


def guarded(command: Callable[[], None]) -> None:
    """Run a command; what can go wrong at its start is said in one line, and the command ends with 1."""
    from gateway.errors import LedgerUnavailable
    from gateway.ledger.checks import UnsafeStoreError
    from gateway.ledger.embedded import EmbeddedStoreError

    try:
        command()
    except LedgerUnavailable as error:
        failed(f"the store does not answer ({error.code})")
    except (UnsafeStoreError, EmbeddedStoreError, OSError, ValueError, RuntimeError) as error:
        failed(str(error))
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def status_of(command: Callable[[], None]) -> int:
    """Run a command in a process of its own, as `guarded` does; what nobody foresaw is shown whole. The exit status."""
    try:
        guarded(command)
    except typer.Exit as end:
        return int(end.exit_code)
    except Exception:  # noqa: BLE001 - the last line of this process
        traceback.print_exc()
        return 1
    return 0


def failed(text: str) -> NoReturn:
    """Say what failed while running; the command ends with 1."""
    print(text, file=sys.stderr)
    raise typer.Exit(1)


def wrong(text: str) -> NoReturn:
    """Say what was asked wrongly; the command ends with 2."""
    print(text, file=sys.stderr)
    raise typer.Exit(EXIT_WRONG)

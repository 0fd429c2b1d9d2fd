"""Record and draw: `python -m tests.pictures`. What it needs and how long it takes stands in grafana/README.md."""

import argparse
import asyncio
import shutil
import sys
from pathlib import Path

from tests.house.source import ROOT
from tests.pictures.drawing import TOOLS, draw
from tests.pictures.recording import record

FOLDER = ROOT / "build" / "pictures"


def main() -> None:
    """Read the command line; do one step or both."""
    asked = argparse.ArgumentParser(prog="python -m tests.pictures", description=__doc__)
    asked.add_argument("step", nargs="?", choices=("record", "draw"), help="only this one; both unless given")
    asked.add_argument("--minutes", type=float, default=15, help="how long traffic flows")
    asked.add_argument("--folder", type=Path, default=FOLDER, help="for what is kept between the steps")
    said = asked.parse_args()
    program = _needed("prometheus", *(TOOLS if said.step != "record" else ()))
    if said.step != "draw":
        asyncio.run(record(program, said.folder / "recorded", said.minutes))
    if said.step != "record":
        asyncio.run(draw(program, said.folder))


def _needed(*names: str) -> str:
    """Where the first of these programs is; the end of this one, named, if any is missing."""
    found = {name: shutil.which(name) for name in names}
    if missing := [name for name, path in found.items() if path is None]:
        sys.exit(f"not installed: {', '.join(missing)}")
    return str(found[names[0]])


if __name__ == "__main__":
    main()

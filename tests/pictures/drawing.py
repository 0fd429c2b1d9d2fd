"""Drawing: each dashboard as a PNG, by Grafana's own components in a browser without a window."""

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from tests.pictures.asking import seen
from tests.pictures.recording import Span
from tests.prometheus.shown import BOARDS, FOLDER, Json
from tests.servers.node import free_port
from tests.servers.prometheus import prometheus

SOURCES = FOLDER / "draw"
PICTURES = FOLDER / "pictures"
WIDTH = 1600
TOOLS = ("npm", "chromium", "pngquant")

# As `page.tsx` lays them out: one step of the grid, what stands above it, the edge below.
_STEP, _HEAD, _FOOT = 38, 66, 12
_WITHIN_S = 600
_PAGE = """<!doctype html>
<meta charset="utf-8">
<link rel="stylesheet" href="page.css">
<div id="root"></div>
<script src="page.js"></script>
"""


async def draw(program: str, folder: Path) -> None:
    """Draw what was recorded in `folder`/recorded with `program` (Prometheus); the pictures go to grafana/pictures.

    Raises:
        CalledProcessError: one of `TOOLS` failed.
    """
    recorded, site = folder / "recorded", folder / "site"
    built(site)
    span = Span.read(recorded)
    async with prometheus(program, recorded, "127.0.0.1:9", every_s=span.every_s) as answering, _served(site) as url:
        for name, board in BOARDS.items():
            shown = json.dumps(await seen(board, span, answering))
            (site / "seen.json").write_text(shown, "utf-8")
            await asyncio.to_thread(_photographed, url, site / f"{name}.png", height_of(board))


def height_of(board: Json) -> int:
    """How high the picture of a dashboard is, in pixels."""
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"])
    return int(rows * _STEP + _HEAD + _FOOT)


def built(site: Path) -> None:
    """Make the page from its sources; what it needs from npm is fetched once. Raises CalledProcessError."""
    site.mkdir(parents=True, exist_ok=True)
    for source in SOURCES.iterdir():
        shutil.copy(source, site)
    if not (site / "node_modules").exists():
        _run(site, "npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts")
    made = ("--bundle", "--outfile=page.js", "--jsx=automatic", '--define:process.env.NODE_ENV="production"')
    esbuild = site.resolve() / "node_modules" / ".bin" / "esbuild"
    _run(site, str(esbuild), "page.tsx", *made, "--loader:.svg=dataurl", "--loader:.ttf=empty", "--log-level=warning")
    (site / "index.html").write_text(_PAGE, "utf-8")
    # Icons are fetched when they are drawn, from where Grafana has them.
    icons = site / "node_modules" / "@grafana" / "ui" / "dist" / "public"
    shutil.copytree(icons, site / "public" / "build", dirs_exist_ok=True)


@asynccontextmanager
async def _served(site: Path) -> AsyncIterator[str]:
    """The address of the page, for this machine alone."""
    app = web.Application()
    app.router.add_static("/", site)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield f"http://127.0.0.1:{port}/index.html"
    finally:
        await runner.cleanup()


def _photographed(url: str, out: Path, height: int) -> None:
    """A picture of the page once it has come to rest, and the same with few colours: a third of the bytes."""
    quiet = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-device-scale-factor=1")
    size = (f"--window-size={WIDTH},{height}", "--virtual-time-budget=15000", f"--screenshot={out.resolve()}")
    _run(out.parent, "chromium", *quiet, *size, url)
    PICTURES.mkdir(exist_ok=True)
    _run(out.parent, "pngquant", "--force", "--speed=1", "--strip", f"--output={PICTURES / out.name}", out.name)


def _run(folder: Path, *command: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=_WITHIN_S, check=False)  # noqa: S603 - ours
    if done.returncode != 0:
        said = (done.stdout + done.stderr).decode(errors="replace")
        raise subprocess.CalledProcessError(done.returncode, command[0], said)

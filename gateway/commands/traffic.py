"""Traffic: a lively mix of calls from every tenant of a demo, and a one-screen view of where the credits go."""

import asyncio
import contextlib
import io
import random
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from rich.bar import Bar
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table

_PROMPTS = (
    "a lighthouse in a storm, oil on canvas",
    "an astronaut on a horse",
    "a fox reading the morning paper",
    "isometric kitchen, soft light",
    "product photo of a blue kettle",
    "a map of an island that does not exist",
)

# None leaves it to the upstream.
_MODELS = (None, None, "dreamshaper_8", "dreamshaper_8", "absolute_reality_1_8_1", "epic_diffusion_1_1")
_SDXL_MODELS = (None, "juggernautxl_1024px", "juggernautxl_1024px", "ponyxl_6")

# Width and height. The largest would be cheaper at half the sides and upscaled.
_SIZES = ((512, 512), (512, 512), (512, 512), (640, 512), (768, 512), (1024, 1024))

_CALL_TIMEOUT_S = 60.0
_REDRAW_S = 0.5
_LATEST = 8

# The view shows what many share; one user's own budgets say nothing of the tenant.
_PERSONAL = ("each:", "user:")


@dataclass(slots=True)
class Seen:
    """What the traffic has seen of one tenant.

    Attributes:
        status: answers by status.
        charged: credits its calls were charged.
        budgets: as `/gateway/budget` last said.
    """

    status: Counter[int] = field(default_factory=Counter)
    charged: float = 0.0
    budgets: list[dict[str, Any]] = field(default_factory=list)


class Traffic:
    """Calls the gateway as its tenants would, until cancelled.

    Args:
        url: the gateway.
        tokens: one for each tenant, to ask for its budgets with.
        crowd: tokens of each tenant's users, to call with.
        calls_per_s: of each tenant, on average.
        seed: the same mix again for the same seed.
    """

    def __init__(
        self,
        url: str,
        tokens: Mapping[str, str],
        crowd: Mapping[str, Sequence[str]],
        *,
        calls_per_s: float = 0.8,
        seed: int = 1,
    ) -> None:
        self._url = url
        self._tokens = tokens
        self._crowd = crowd
        self._calls_per_s = calls_per_s
        self._dice = random.Random(seed)  # noqa: S311 - a mix of calls, no secret
        self.seen = {tenant: Seen() for tenant in tokens}
        self.latest: deque[tuple[str, str, int, str]] = deque(maxlen=_LATEST)

    async def run(self) -> None:
        """Call until cancelled; every task started here ends with it."""
        timeout = aiohttp.ClientTimeout(total=_CALL_TIMEOUT_S)
        jar = aiohttp.DummyCookieJar()
        async with aiohttp.ClientSession(timeout=timeout, cookie_jar=jar) as session, asyncio.TaskGroup() as group:
            for tenant, token in self._tokens.items():
                group.create_task(self._caller(session, tenant, group))
                group.create_task(self._watcher(session, tenant, token))

    async def _caller(self, session: aiohttp.ClientSession, tenant: str, group: asyncio.TaskGroup) -> None:
        slots = asyncio.Semaphore(16)
        while True:
            await asyncio.sleep(self._dice.expovariate(self._calls_per_s))
            await slots.acquire()
            task = group.create_task(self._call(session, tenant, self._someone(tenant)))
            task.add_done_callback(lambda _: slots.release())

    def _someone(self, tenant: str) -> str:
        """A user's token: the first call most, the last hardly ever."""
        crowd = self._crowd[tenant]
        return crowd[min(self._dice.randrange(len(crowd)), self._dice.randrange(len(crowd)))]

    async def _call(self, session: aiohttp.ClientSession, tenant: str, token: str) -> None:
        path, body = self._pick()
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with session.post(self._url + path, headers={"X-Dezgo-Key": token}, **body) as answer:
                await answer.read()
                charged = answer.headers.get("x-credits-cost", "")
                seen = self.seen[tenant]
                seen.status[answer.status] += 1
                with contextlib.suppress(ValueError):
                    seen.charged += float(charged)
                self.latest.append((tenant, path, answer.status, charged))

    def _pick(self) -> tuple[str, dict[str, Any]]:
        """One call: mostly pictures of common sizes, some dear ones, some mistakes."""
        dice = self._dice
        prompt = {"prompt": dice.choice(_PROMPTS), "seed": dice.randrange(2**32)}
        width, height = dice.choice(_SIZES)
        steps = {"steps": dice.choice((20, 30, 40))}
        kind = dice.choices(
            ("plain", "upscaled", "sdxl", "flux", "form", "upscale", "mistake"), (40, 12, 10, 10, 15, 9, 4)
        )[0]
        if kind == "plain":
            return "/text2image", {
                "json": {**prompt, **steps, **_named(dice.choice(_MODELS)), "width": width, "height": height}
            }
        if kind == "upscaled":
            return "/text2image", {"json": {**prompt, "upscale": 2}}
        if kind == "sdxl":
            return "/text2image_sdxl", {"json": {**prompt, **steps, **_named(dice.choice(_SDXL_MODELS))}}
        if kind == "flux":
            return "/text2image_flux", {"json": {**prompt, "width": 1024, "height": 1024}}
        if kind == "form":
            return "/text2image", {"data": {**{k: str(v) for k, v in prompt.items()}, "steps": "30", "format": "jpg"}}
        if kind == "upscale":
            form = aiohttp.FormData()
            form.add_field("image", io.BytesIO(_picture(width)), filename="in.png", content_type="image/png")
            return "/upscale", {"data": form}
        return "/text2image", {"json": {**prompt, "steps": "many"}}

    async def _watcher(self, session: aiohttp.ClientSession, tenant: str, token: str) -> None:
        while True:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with session.get(f"{self._url}/gateway/budget", headers={"X-Dezgo-Key": token}) as answer:
                    if answer.status == 200:  # noqa: PLR2004 - success
                        self.seen[tenant].budgets = (await answer.json())["budgets"]
            await asyncio.sleep(_REDRAW_S)


def _named(model: str | None) -> dict[str, str]:
    """A model as a call names it, or not at all."""
    return {} if model is None else {"model": model}


def _picture(side: int) -> bytes:
    from PIL import Image  # noqa: PLC0415 - only the simulator's extra brings it

    stream = io.BytesIO()
    Image.new("RGB", (side, side), (70, 110, 160)).save(stream, "PNG")
    return stream.getvalue()


def view(traffic: Traffic) -> Group:
    """One screen: every tenant's budgets as bars, and the latest calls."""
    return Group(*(_tenant(tenant, seen) for tenant, seen in traffic.seen.items()), _calls(traffic))


def _tenant(tenant: str, seen: Seen) -> Panel:
    table = Table.grid(padding=(0, 2), expand=True)
    for justify in ("left", "left", "right", "right", "right"):
        table.add_column(justify=justify)
    for budget in seen.budgets:
        if budget["budget"].startswith(_PERSONAL):
            continue
        limit, spent, held = budget["limit"], budget["spent"], budget["held"]
        share = (spent + held) / limit if limit else 1.0
        colour = "green" if share < 0.8 else "yellow" if share < 1 else "red"  # noqa: PLR2004 - soft limit
        table.add_row(
            budget["budget"],
            Bar(1.0, 0.0, min(share, 1.0), width=30, color=colour),
            f"{spent:g} spent",
            f"{held:g} held",
            f"[bold {colour}]{budget['remaining']:g} left[/]",
        )
    counts = "  ".join(f"{status}×{count}" for status, count in sorted(seen.status.items()))
    return Panel(table, title=f"[bold]{tenant}[/]  {seen.charged:g} credits charged here  {counts}", title_align="left")


def _calls(traffic: Traffic) -> Panel:
    table = Table.grid(padding=(0, 2))
    for tenant, path, status, charged in traffic.latest:
        colour = "green" if status < 400 else "yellow" if status < 500 else "red"  # noqa: PLR2004 - status classes
        table.add_row(tenant, path, f"[{colour}]{status}[/]", f"{charged} credits" if charged else "")
    return Panel(table, title="latest calls", title_align="left")


async def show(traffic: Traffic, console: Console) -> None:
    """Draw until cancelled: live on a terminal, a line now and then elsewhere."""
    if not console.is_terminal:
        while True:
            await asyncio.sleep(10)
            for tenant, seen in traffic.seen.items():
                console.print(f"{tenant}: {seen.charged:g} credits, answers {dict(sorted(seen.status.items()))}")
    with Live(view(traffic), console=console, refresh_per_second=4, screen=True) as live:
        while True:
            await asyncio.sleep(_REDRAW_S)
            live.update(view(traffic))

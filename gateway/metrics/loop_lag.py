"""How late the event loop comes to what is due: while it is busy with one thing, all calls wait."""

import asyncio
import time
from collections import deque

EVERY_S = 0.25
KEPT_S = 60.0


class LoopLag:
    """Looks at the loop it runs on, again and again.

    Attributes:
        worst_s: the largest delay of the last `KEPT_S` seconds. May be read in any thread.
    """

    def __init__(self) -> None:
        self.worst_s = 0.0
        # (when, how late), each less late than the one before it: those before which a later one is worse are gone.
        self._late: deque[tuple[float, float]] = deque()

    async def watch_forever(self, every_s: float = EVERY_S) -> None:
        """Sleep `every_s` seconds at a time, and see how much longer it took."""
        while True:
            due_s = time.monotonic() + every_s
            await asyncio.sleep(every_s)
            now_s = time.monotonic()  # not the loop's own clock, which may stand still while it is busy
            self.came(now_s - due_s, now_s)

    def came(self, late_s: float, now_s: float) -> None:
        """Remember that the loop came `late_s` seconds late at `now_s`."""
        while self._late and self._late[-1][1] <= late_s:
            self._late.pop()
        self._late.append((now_s, max(0.0, late_s)))
        while self._late[0][0] <= now_s - KEPT_S:
            self._late.popleft()
        self.worst_s = self._late[0][1]

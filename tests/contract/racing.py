"""One racer process: `python -m tests.contract.racing URL TENANT NAME CALLS`. Prints how many holds it was granted.

Waits on its standard input for a line, so that all racers start together.
"""

import asyncio
import sys

from gateway.errors import BudgetExhausted
from gateway.ledger.budget import Path
from gateway.ledger.contract import HoldId, Ledger
from gateway.ledger.redis import RedisLedger
from gateway.ledger.store import Store
from gateway.units import Credits
from tests.contract.keepers import book

PRICE, K = 19, 40


def limited() -> dict[str, int]:
    """Limits for K calls, and not one millicredit to spare in the one that binds."""
    return {"tenant": PRICE * K * 3, "team": PRICE * K, "each_user": PRICE * K * 2, "user": PRICE * K + PRICE - 1}


async def race(ledger: Ledger, tenant: str, name: str, calls: int) -> int:
    """How many of `calls` holds made at once are granted."""

    async def one(number: int) -> bool:
        try:
            await ledger.hold(Path(tenant, "ads", "ann"), Credits(PRICE), hold_id=HoldId(f"{name}-{number}"))
        except BudgetExhausted:
            return False
        return True

    return sum(await asyncio.gather(*(one(number) for number in range(calls))))


async def main(url: str, tenant: str, name: str, calls: int) -> None:
    store = Store(url, deadline_s=20.0)
    ledger = RedisLedger(store, book(tenant, limited()), hold_ttl_ms=60_000)
    await ledger.balances(Path(tenant))
    print("ready", flush=True)  # noqa: T201 - said to the test that started this process
    sys.stdin.readline()
    print(await race(ledger, tenant, name, calls), flush=True)  # noqa: T201
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))

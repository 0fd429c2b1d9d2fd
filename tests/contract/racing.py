"""One racer process: `python -m tests.contract.racing URL NAME CALLS`.

Prints "ready"; then, for each line `TENANT BINDING [KEY]` on its standard input, races for that tenant's budget and
prints how many holds it was granted, all under one idempotency key where there is one. So all racers start together,
round after round.
"""

import asyncio
import sys

from gateway.errors import BudgetExhausted
from gateway.ledger.budget import BudgetBook, Path, Rule, TeamBudgets, TenantBudgets
from gateway.ledger.contract import HoldId, Ledger
from gateway.ledger.redis import RedisLedger
from gateway.ledger.store import Store
from gateway.ledger.window import Every, Window
from gateway.once import IdempotencyOpen, Once
from gateway.units import Credits

PRICE, K = 19, 40


def limited() -> dict[str, int]:
    """Limits for K calls, and not one millicredit to spare in the one that binds."""
    return {"tenant": PRICE * K * 3, "team": PRICE * K, "each_user": PRICE * K * 2, "user": PRICE * K + PRICE - 1}


def mixed(tenant: str, binding: Every) -> BudgetBook:
    """Windows of every kind on one path, at every level; only the one of this kind binds, at K calls."""

    def rules(*kinds: Every) -> tuple[Rule, ...]:
        zones = ("UTC", "Asia/Kathmandu")
        return tuple(
            Rule(Credits(PRICE * K + PRICE - 1 if every is binding else PRICE * K * 3), Window(every, zones[n % 2]))
            for n, every in enumerate(kinds)
        )

    team = TeamBudgets(rules(Every.WEEK, Every.DAY), rules(Every.HOUR))
    users = {"ann": rules(Every.MONTH)}
    return BudgetBook({tenant: TenantBudgets(rules(Every.TOTAL, Every.MONTH), teams={"ads": team}, users=users)})


async def race(ledger: Ledger, tenant: str, name: str, calls: int, once: Once | None = None) -> int:
    """How many of `calls` holds made at once are granted, all under one idempotency key where there is one."""
    path = Path(tenant, "ads", "ann")

    async def one(number: int) -> bool:
        try:
            await ledger.hold(path, Credits(PRICE), hold_id=HoldId(f"{name}-{number}"), once=once)
        except (BudgetExhausted, IdempotencyOpen):
            return False
        return True

    return sum(await asyncio.gather(*(one(number) for number in range(calls))))


async def main(url: str, name: str, calls: int) -> None:
    """Race for as long as there are lines to read."""
    store = Store(url, deadline_s=30.0)
    await store.call("PING")
    print("ready", flush=True)  # noqa: T201 - said to the test that started this process
    while line := (await asyncio.to_thread(sys.stdin.readline)).split():
        tenant, binding, *key = line
        ledger = RedisLedger(store, mixed(tenant, Every(binding)), hold_ttl_ms=60_000)
        once = Once.of(key[0], (tenant,), (b"asked",)) if key else None
        print(await race(ledger, tenant, name, calls, once), flush=True)  # noqa: T201
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))

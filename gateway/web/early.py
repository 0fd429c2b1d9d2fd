"""Early: what can be refused before a client that waits for `100 Continue` sends its body."""

from gateway.errors import BudgetExhausted
from gateway.ledger.budget import Path
from gateway.ledger.contract import Ledger
from gateway.pricing.job import Job
from gateway.pricing.quote import quote
from gateway.pricing.tariff import Method, Tariff


async def refuse_exhausted(ledger: Ledger, path: Path, tariff: Tariff, method: Method) -> None:
    """Raise BudgetExhausted when a budget on `path` cannot bear even the cheapest job of `method`.

    The price itself is not known before the body; this look writes nothing and promises nothing.
    """
    least = quote(tariff, method, Job(method.name, width=1, height=1, steps=1)).total
    lacking = [balance for balance in await ledger.balances(path) if not balance.bears(least)]
    if lacking:
        tight = min(lacking, key=lambda balance: balance.remaining)
        raise BudgetExhausted(
            quoted=least,
            budget=tight.budget.name,
            limit=tight.limit,
            remaining=tight.remaining,
            reset_s=tight.reset_s,
            level=tight.budget.level,
        )

"""Jobs: which tenant started which of the upstream's asynchronous jobs.

An asynchronous answer is a JSON document whose `tx._id` names the job, polled at `/unstable/job/<id>`. The upstream
shows a job to whoever holds the master key, so the gateway remembers who started it and shows it to nobody else.
"""

import json
import re
from typing import Any, Protocol

from gateway.ledger import keys

JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)

# The largest asynchronous answer that is looked into; images never are.
ANSWER_BYTES_MAX = 65_536

# The upstream keeps a job for 30 days.
KEPT_S = 31 * 24 * 3600


class JobBook(Protocol):
    """Remembers who started a job."""

    async def started(self, tenant: str, job_id: str) -> None:
        """Note that `tenant` started it. Raises LedgerUnavailable."""
        ...

    async def owns(self, tenant: str, job_id: str) -> bool:
        """Whether `tenant` started it. Raises LedgerUnavailable."""
        ...


class _Commands(Protocol):
    async def call(self, *words: str | int) -> Any: ...


class StoredJobs:
    """Remembers in the ledger's store, so that every gateway knows."""

    def __init__(self, store: _Commands) -> None:
        self._store = store

    async def started(self, tenant: str, job_id: str) -> None:
        """See `JobBook.started`."""
        await self._store.call("SET", keys.job(tenant, job_id), "1", "EX", KEPT_S)

    async def owns(self, tenant: str, job_id: str) -> bool:
        """See `JobBook.owns`."""
        return bool(await self._store.call("EXISTS", keys.job(tenant, job_id)))


def job_id_in(answer: bytes) -> str | None:
    """The job id of an asynchronous answer, or None when it is no such answer. Never raises."""
    try:
        document = json.loads(answer)
    except (ValueError, RecursionError):
        return None
    transaction = document.get("tx") if isinstance(document, dict) else None
    job_id = transaction.get("_id") if isinstance(transaction, dict) else None
    return job_id if isinstance(job_id, str) and JOB_ID.fullmatch(job_id) else None

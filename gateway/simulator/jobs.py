"""Asynchronous jobs: an answer to poll, and a file on another host once it is done."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.simulator.order import Order

JOBS_KEPT = 1_000
_STAGES = ("queued", "running")


@dataclass(slots=True)
class Job:
    """One job: what to make, and how often it was asked for."""

    order: Order
    seed: int
    polls: int = 0


class Jobs:
    """The newest jobs. Each is queued at the first poll, running at the second, done from the third on."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, Job] = OrderedDict()

    def add(self, job_id: str, order: Order, seed: int) -> None:
        """Take a job on; beyond a thousand the oldest is forgotten."""
        self._jobs[job_id] = Job(order, seed)
        while len(self._jobs) > JOBS_KEPT:
            self._jobs.popitem(last=False)

    def find(self, job_id: str) -> Job | None:
        """The job, or None."""
        return self._jobs.get(job_id)

    def poll(self, job_id: str, files_url: str) -> Mapping[str, object] | None:
        """The state of a job as the upstream tells it; None for an unknown one."""
        job = self._jobs.get(job_id)
        if job is None:
            return None
        job.polls += 1
        if job.polls <= len(_STAGES):
            return {"_id": job_id, "status": _STAGES[job.polls - 1], "final": False, "files": {}}
        output = {"url": f"{files_url}/{job_id}"}
        return {"_id": job_id, "status": "success", "final": True, "files": {"output": output}}

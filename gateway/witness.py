"""Witness: told of all that happens in one process; counts it, and says it in a log line where it is news."""

import time

from gateway.account.findings import Compared, Exhausted, Finding, Foreign, Recovered
from gateway.errors import LedgerUnavailable
from gateway.ledger.contract import Settlement, State
from gateway.ledger.recovery import Recovered as Whole
from gateway.ledger.recovery import Regressed
from gateway.logs.lines import Logs
from gateway.logs.sampling import Sampler
from gateway.metrics.counting import Metrics
from gateway.receipt import Receipt


class Witness:
    """Everything here may be called from anywhere on the loop; nothing raises.

    Args:
        metrics: where it is counted.
        logs: where it is said.
        alone: False where other processes of this gateway call the upstream as well: what the account loses to them
            cannot be told from what it loses to strangers, and is neither counted nor said.
    """

    def __init__(self, metrics: Metrics, logs: Logs, *, alone: bool = True) -> None:
        self._metrics = metrics
        self._logs = logs
        self._alone = alone
        self._sampler = Sampler(time.monotonic)

    def found(self, finding: Finding) -> None:
        """Count what was found of the shared account, and say it where it is a change."""
        if isinstance(finding, Foreign) and not self._alone:
            return
        self._metrics.account(finding)
        match finding:
            case Exhausted(by, remaining):
                self._logs.event("upstream_account_exhausted", by=by, remaining=remaining)
            case Recovered(remaining):
                self._logs.event("upstream_account_recovered", remaining=remaining)
            case Foreign(credits, True):
                self._logs.event("upstream_account_foreign_use", credits=credits)
            case Compared(method, difference, True):
                self._logs.event("upstream_balance_mismatch", method=method, difference=difference)

    def store_changed(self, trouble: str | None) -> None:
        """Say that the store answers again, or no longer, and by which trouble."""
        if trouble is None:
            self._logs.event("ledger_available")
        else:
            self._logs.event("ledger_unavailable", code=trouble)

    def ledger_failed(self, error: LedgerUnavailable) -> None:
        """Count a call to the ledger, made beside the requests, that gave no answer."""
        self._metrics.ledger_error(error.code)

    def settled(self, settlement: Settlement) -> None:
        """Count the end of a hold."""
        self._metrics.settled(settlement)
        if settlement.state is State.UNKNOWN:
            # Nobody remembers the hold. What the call was charged stands in the request's own line, under this id.
            self._logs.event("settle_unknown", hold_id=settlement.hold_id)
        elif settlement.applied and settlement.recovered:
            self._logs.event("settle_recovered", hold_id=settlement.hold_id, charged=settlement.charged)

    def loss(self, finding: Regressed | Whole) -> None:
        """A store has forgotten entries of a tenant, or that is made good."""
        if isinstance(finding, Regressed):
            self._metrics.regressed()
            self._logs.event("ledger_regressed", tenant=finding.tenant, before=finding.before)
        else:
            self._logs.event("ledger_recovered", tenant=finding.tenant, booked_again=finding.again, by=finding.by)

    def stuck(self, hold_id: str) -> None:
        """The end of a hold was given up."""
        self._metrics.stuck()
        self._logs.event("settle_given_up", hold_id=hold_id)

    def finished(self, receipt: Receipt) -> None:
        """What every request leaves behind."""
        self._metrics.record(receipt)
        if self._sampler.takes(receipt):
            self._logs.request(receipt, self._sampler.left_out(receipt.reason))

    def broken(self, receipt: Receipt, error: BaseException) -> None:
        """A request ended by what nobody expected."""
        self._logs.broken(error, request_id=receipt.request_id)

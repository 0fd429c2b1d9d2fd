"""Receipt: the facts of one exchange. Log line, metrics and response fields all read this and nothing else.

It is filled in as the request walks through the house; what was not reached stays None. It holds no prompt,
no token, no body, and of the client's own words only those that passed a closed alphabet.
"""

from dataclasses import dataclass

from gateway.units import Credits


@dataclass(slots=True)
class Receipt:
    """What happened to one request.

    Attributes:
        request_id: ours, in the answer too.
        route: the matched route's constant name, `unmatched` when none.
        trace_id, span_id: 32 and 16 hex digits, when the request belongs to a trace; the span is ours.
        client: the address it came from, as far as trusted proxies tell.
        verb: HTTP method out of the known ones, else `OTHER`.
        tenant, team, user: who pays, once the token is verified.
        method: the tariff's method name, for paid calls.
        model: the model named, in a strict alphabet; it changes no price.
        size, pixels, steps, upscaled, loras: what was priced; `size` where sides have a price.
        quoted: the price said in advance, its lines in `items`; `estimated` when a line of it is not published.
        saving: what the same picture would have cost less, made at half the sides and upscaled; None for nothing.
        held: what was set aside; None when nothing was.
        charged: what was settled at, with its `flag`.
        hold_id: the hold's id.
        once: the first 12 hex digits of the hash an idempotency key is known by.
        replayed: what the client got is about an earlier call under its key.
        binding: the budget that refused, or the tightest one.
        remaining: the caller's smallest remaining credits after this call, as the hold's answer said.
        reset_s: seconds until the window of the budget that refused ends.
        ceiling: what a call above its ceiling had to stay below.
        parameter: the priced parameter that was refused, out of the tariff's own list.
        outcome: `served`, `refused`, `failed`, `dry_run`, or `replayed`: a former answer was told again.
        reason: closed set: an error's reason, or `ok`.
        code: a finer reason for the log only, out of our own closed sets.
        status: what the client got.
        upstream_status: what the upstream answered.
        job_id, seed: the upstream's asynchronous job, and the seed it names, in strict alphabets.
        client_gone: the client left before its answer was complete.
        bytes_in, bytes_out: body bytes.
        started_s: monotonic seconds when the request arrived.
        hold_began_s, upstream_began_s: on the same clock, when these two steps began.
        queued_s: seconds the call waited for its turn upstream, or until it was refused; None when it need not.
        hold_s, upstream_s, total_s: seconds spent on the hold, from sending to the upstream's last byte (or head,
            `upstream_head_s`), and in all.
    """

    request_id: str
    started_s: float
    route: str = "unmatched"
    verb: str = "OTHER"
    trace_id: str | None = None
    span_id: str | None = None
    client: str | None = None
    tenant: str | None = None
    team: str | None = None
    user: str | None = None
    token_id: str | None = None
    method: str | None = None
    model: str | None = None
    size: str | None = None
    pixels: int | None = None
    steps: int | None = None
    upscaled: bool | None = None
    loras: int | None = None
    quoted: Credits | None = None
    items: str | None = None
    estimated: bool = False
    saving: Credits | None = None
    tariff_version: str | None = None
    held: Credits | None = None
    charged: Credits | None = None
    flag: str | None = None
    hold_id: str | None = None
    once: str | None = None
    replayed: bool = False
    binding: str | None = None
    remaining: Credits | None = None
    reset_s: int | None = None
    ceiling: Credits | None = None
    parameter: str | None = None
    outcome: str = "refused"
    reason: str = "ok"
    code: str | None = None
    status: int | None = None
    upstream_status: int | None = None
    job_id: str | None = None
    seed: str | None = None
    client_gone: bool = False
    bytes_in: int = 0
    bytes_out: int = 0
    hold_began_s: float | None = None
    hold_s: float | None = None
    upstream_began_s: float | None = None
    queued_s: float | None = None
    upstream_head_s: float | None = None
    upstream_s: float | None = None
    total_s: float | None = None

    @property
    def overrun(self) -> Credits:
        """What was charged above what was held; zero when nothing was."""
        if self.charged is None or self.held is None or self.charged.millicredits <= self.held.millicredits:
            return Credits.ZERO
        return self.charged - self.held

    @property
    def drift(self) -> Credits | None:
        """Charged minus quoted, where the upstream itself named the charge; None elsewhere."""
        if self.charged is None or self.quoted is None or self.flag != "confirmed" or not self.charged:
            return None
        return self.charged - self.quoted

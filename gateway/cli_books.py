"""`dezgo-gateway ledger …`: the commands that look at the books, and those that adjust them, on live data."""

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli_ends import guarded, settings_of, wrong
from gateway.settings import Settings

ledger_app = typer.Typer(no_args_is_help=True, help="Look at the books, and adjust them, while calls go on.")

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="Directory with gateway.yaml, tariff.yaml and tenants.yaml.")
]
TenantOption = Annotated[str, typer.Option(help="Whose books.")]
ActorOption = Annotated[str, typer.Option(help="Who wants it; it is written into the journal.")]
ReasonOption = Annotated[str, typer.Option(help="Why; it is written into the journal.")]
IdOption = Annotated[
    str | None,
    typer.Option("--id", help="The operation's id. Without one, the same words again are the same operation."),
]
HoldArgument = Annotated[str, typer.Argument(help="Id of a hold: the request id, as in the log and in `x-request-id`.")]


@ledger_app.command("audit")
def audit(config: ConfigOption = None) -> None:
    """Recount every tenant's balances from its journal, on live data. Ends with 1 when anything differs."""
    from gateway.commands.showing import audited

    sound: list[bool] = []
    _run(config, lambda settings: audited(settings, sound))
    if not all(sound):
        raise typer.Exit(1)


@ledger_app.command("list")
def listing(
    tenant: TenantOption,
    uncertain: Annotated[bool, typer.Option("--uncertain", help="Only charges that are uncertain.")] = False,
    unconfirmed: Annotated[bool, typer.Option("--unconfirmed", help="Only charges nobody confirmed.")] = False,
    since: Annotated[str | None, typer.Option(help="An instant such as 2026-11-30T00:00:00Z.")] = None,
    most: Annotated[int, typer.Option(min=1, max=100_000, help="No more than the newest so many.")] = 1000,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
    config: ConfigOption = None,
) -> None:
    """List what ended holds are charged, from the journal: who, when, how much, how sure."""
    from gateway.commands.books import Wanted, listed

    wanted = Wanted(tenant, uncertain=uncertain, unconfirmed=unconfirmed, since=since, most=most, json=json)
    _run(config, lambda settings: listed(settings, wanted))


@ledger_app.command("refund")
def refund(
    hold_id: HoldArgument,
    tenant: TenantOption,
    actor: ActorOption,
    reason: ReasonOption,
    credits: Annotated[str | None, typer.Option(help="How much to give back; all of it unless said.")] = None,
    operation: IdOption = None,
    config: ConfigOption = None,
) -> None:
    """Give back what an ended hold was charged, or part of it, in the windows that bore it."""
    from gateway.commands.books import Word, refunded

    word = Word(tenant, actor, reason, operation)
    _run(config, lambda settings: refunded(settings, hold_id, credits, word))


@ledger_app.command("correct")
def correct(
    hold_id: HoldArgument,
    tenant: TenantOption,
    credits: Annotated[str, typer.Option(help="What is to be booked; the same amount confirms it.")],
    actor: ActorOption,
    reason: ReasonOption,
    operation: IdOption = None,
    config: ConfigOption = None,
) -> None:
    """Book another charge for an ended hold, such as the one on the upstream's invoice."""
    from gateway.commands.books import Word, corrected

    word = Word(tenant, actor, reason, operation)
    _run(config, lambda settings: corrected(settings, hold_id, credits, word))


@ledger_app.command("grant")
def grant(
    tenant: TenantOption,
    budget: Annotated[str, typer.Option(help="Its name, such as tenant/month, team:ads/week or each:ann/day.")],
    credits: Annotated[str, typer.Option(help="How many, on top of the limit.")],
    actor: ActorOption,
    reason: ReasonOption,
    until: Annotated[str | None, typer.Option(help="When it lapses, such as 2026-11-30T00:00:00Z.")] = None,
    window: Annotated[bool, typer.Option("--window", help="It lapses with the budget's window of now.")] = False,
    operation: IdOption = None,
    config: ConfigOption = None,
) -> None:
    """Raise the limit of one budget, in its window of now, until the grant lapses."""
    from gateway.commands.books import Word
    from gateway.commands.granting import Gift, granted

    if window == (until is not None):
        wrong("say when it lapses: either --window or --until")
    word, gift = Word(tenant, actor, reason, operation), Gift(budget, credits, until)
    _run(config, lambda settings: granted(settings, gift, word))


@ledger_app.command("revoke")
def revoke(
    grant_id: Annotated[str, typer.Argument(help="The operation id that `ledger grant` printed.")],
    tenant: TenantOption,
    actor: ActorOption,
    reason: ReasonOption,
    operation: IdOption = None,
    config: ConfigOption = None,
) -> None:
    """Take a live grant back, whole."""
    from gateway.commands.books import Word
    from gateway.commands.granting import revoked

    word = Word(tenant, actor, reason, operation)
    _run(config, lambda settings: revoked(settings, grant_id, word))


@ledger_app.command("repair")
def repair(
    tenant: TenantOption,
    actor: ActorOption,
    reason: ReasonOption,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be changed.")] = False,
    operation: IdOption = None,
    config: ConfigOption = None,
) -> None:
    """Set balances that differ from the journal, cannot be read or are gone to what the journal says."""
    from gateway.commands.books import Word
    from gateway.commands.repairing import repaired

    word = Word(tenant, actor, reason, operation)
    _run(config, lambda settings: repaired(settings, word, dry_run=dry_run))


@ledger_app.command("accept")
def accept(
    tenant: TenantOption,
    actor: ActorOption,
    reason: ReasonOption,
    operation: IdOption = None,
    config: ConfigOption = None,
) -> None:
    """Go on with a journal that has lost entries: its tenant was closed for that, and is opened again."""
    from gateway.commands.books import Word
    from gateway.commands.repairing import accepted

    _run(config, lambda settings: accepted(settings, Word(tenant, actor, reason, operation)))


@ledger_app.command("export")
def export(
    tenant: TenantOption,
    out: Annotated[Path, typer.Option(help="A file that does not exist yet.")],
    kind: Annotated[str, typer.Option("--format", help="csv, jsonl or parquet.")] = "jsonl",
    before: Annotated[str | None, typer.Option(help="Only entries before an instant.")] = None,
    trim: Annotated[bool, typer.Option("--trim", help="Then drop from the journal what was exported.")] = False,
    config: ConfigOption = None,
) -> None:
    """Write the journal to a file, from its oldest entry on; amounts in millicredits."""
    from gateway.commands.exporting import Export, exported

    _run(config, lambda settings: exported(settings, Export(tenant, kind, out, before, trim)))


@ledger_app.command("trim")
def trim(
    tenant: TenantOption,
    before: Annotated[str | None, typer.Option(help="Drop entries before an instant; they must be exported.")] = None,
    retention: Annotated[
        int | None, typer.Option(min=1, max=36_500, help="Days after which entries may go unexported.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Replace the journal's oldest entries by what they amount to; audits stay as sound as before."""
    from gateway.commands.exporting import trimmed

    _run(config, lambda settings: trimmed(settings, tenant, before, retention))


def _run(config: Path | None, work: Callable[[Settings], Coroutine[Any, Any, None]]) -> None:
    from gateway.commands.offline import Refused
    from gateway.commands.serving import run

    settings = settings_of(config)
    try:
        guarded(lambda: run(work(settings)))
    except Refused as refused:
        wrong(str(refused))

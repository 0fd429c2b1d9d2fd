"""`dezgo-gateway revoke` and `revoked`: the commands that take tokens back."""

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli_ends import guarded, settings_of, wrong
from gateway.settings import Settings

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="Directory with gateway.yaml, tariff.yaml and tenants.yaml.")
]


def revoke(
    tenant: Annotated[str, typer.Option(help="Whose tokens.")],
    actor: Annotated[str, typer.Option(help="Who wants it; it is written down.")],
    reason: Annotated[str, typer.Option(help="Why; it is written down.")],
    jti: Annotated[str | None, typer.Option(help="One token, by its `jti`.")] = None,
    token_id: Annotated[str | None, typer.Option(help="One token, by the id log lines show.")] = None,
    before: Annotated[
        str | None, typer.Option(help="All issued before an instant such as 2026-11-30T00:00:00Z, or `now`.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All, also those issued later.")] = False,
    until: Annotated[str | None, typer.Option(help="When it lapses; for good unless said.")] = None,
    undo: Annotated[
        bool, typer.Option("--undo", help="Lift such a revocation; for --before any instant will do.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Refuse a tenant's tokens, on every gateway within a second."""
    from gateway.commands.books import Word
    from gateway.commands.revoking import Meant, lifted, revoked

    if sum((jti is not None, token_id is not None, before is not None, every)) != 1:
        wrong("say which tokens: one of --jti, --token-id, --before and --all")
    meant, word = Meant(jti, token_id, before, every, until), Word(tenant, actor, reason, None)
    work = lifted if undo else revoked
    _run(config, lambda settings: work(settings, meant, word))


def revoked(
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
    config: ConfigOption = None,
) -> None:
    """List what is revoked, on whose word and why."""
    from gateway.commands.revoking import listed

    _run(config, lambda settings: listed(settings, tenant, as_json=json))


def _run(config: Path | None, work: Callable[[Settings], Coroutine[Any, Any, None]]) -> None:
    from gateway.commands.offline import Refused
    from gateway.commands.serving import run

    settings = settings_of(config)
    try:
        guarded(lambda: run(work(settings)))
    except Refused as refused:
        wrong(str(refused))

"""The command line. Commands only: each reads its flags, calls one part, and turns what it raises into words."""

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from gateway import __version__
from gateway.cli_books import ledger_app
from gateway.cli_ends import guarded as _guarded
from gateway.cli_ends import settings_of as _settings
from gateway.cli_ends import status_of as _status
from gateway.cli_ends import wrong as _wrong
from gateway.cli_tokens import revoke, revoked

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A budget-aware gateway to the Dezgo image API.",
)
app.add_typer(ledger_app, name="ledger")
app.command("revoke")(revoke)
app.command("revoked")(revoked)

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="Directory with gateway.yaml, tariff.yaml and tenants.yaml.")
]
PortOption = Annotated[int, typer.Option(min=0, max=65535, help="The gateway's port; 0 takes a free one.")]
OpsPortOption = Annotated[int, typer.Option(min=0, max=65535, help="The operators' port; 0 takes a free one.")]


def main() -> None:
    """Run the command line."""
    app()


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    if version:
        print(__version__)
        raise typer.Exit


@app.command()
def demo(
    port: PortOption = 8080,
    ops_port: OpsPortOption = 8081,
    traffic: Annotated[
        bool, typer.Option("--traffic", help="Send a mix of calls from all tenants, and watch.")
    ] = False,
) -> None:
    """Start simulator, store and gateway, with tokens and calls to paste. Ctrl-C stops everything."""
    from gateway.commands.serving import run
    from gateway.commands.showing import show_demo

    _guarded(lambda: run(show_demo(port=port, ops_port=ops_port, traffic=traffic)))


@app.command()
def serve(
    config: ConfigOption = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=64, help="Processes that take calls, instead of listen.workers.")
    ] = None,
) -> None:
    """Serve with the configuration of a directory, until SIGTERM or Ctrl-C."""
    from gateway.commands.serving import run, serve_with_workers
    from gateway.commands.serving import serve as serving

    settings = _settings(config)

    def started(port: int, ops_port: int) -> None:
        print(f"serving on port {port}, operators on port {ops_port}", file=sys.stderr)

    count = workers or settings.listen.workers
    if count == 1:
        _guarded(lambda: run(serving(settings, started=started)))
    else:

        def say(text: str) -> None:
            print(text, file=sys.stderr)

        _guarded(lambda: serve_with_workers(settings, count, guard=_status, started=started, say=say))


@app.command()
def check(
    config: ConfigOption = None,
    secrets: Annotated[
        bool, typer.Option(help="Also look for the secrets; --no-secrets where they are not at hand.")
    ] = True,
) -> None:
    """Read the whole configuration, reproduce the published prices, and say all that is wrong with it."""
    settings = _settings(config, secrets=secrets)
    tariff = settings.tariff
    estimated = sum(1 for method in tariff.methods.values() if method.status == "estimated")
    print(f"in order: {len(settings.tenants)} tenants, {len(tariff.methods)} priced methods ({estimated} estimated),")
    print(f"tariff {tariff.version} reproduces all {len(tariff.examples)} published figures")


@app.command()
def simulate(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8090,
    flavour: Annotated[str, typer.Option(help="direct or rapidapi.")] = "direct",
    key_env: Annotated[str, typer.Option(help="Environment variable with the key to expect.")] = "DEZGO_API_KEY",
    delay_s: Annotated[float, typer.Option(min=0, max=60, help="Scale of the simulated delays, seconds.")] = 0.3,
    balance_usd: Annotated[int, typer.Option(min=0, max=1_000_000, help="USD on the direct account at first.")] = 10,
) -> None:
    """Run the simulated upstream alone, with its books at /_simulator/book."""
    from decimal import Decimal

    from gateway.commands.serving import run
    from gateway.commands.showing import simulated
    from gateway.simulator import SimulatorSettings

    key = os.environ.get(key_env, "")
    if not key:
        _wrong(f"set the variable {key_env} to the key the simulator shall expect")
    if flavour not in ("direct", "rapidapi"):
        _wrong("--flavour is direct or rapidapi")
    kind: Literal["direct", "rapidapi"] = "direct" if flavour == "direct" else "rapidapi"
    settings = SimulatorSettings(
        key=key, flavour=kind, delay_s=delay_s, balance_usd=Decimal(balance_usd), allow_header_faults=True
    )
    _guarded(lambda: run(simulated(settings, host=host, port=port)))


@app.command()
def traffic(
    url: Annotated[str, typer.Option(help="The gateway to call.")] = "http://127.0.0.1:8080",
    calls_per_s: Annotated[float, typer.Option(min=0.01, max=50, help="Calls a second of each tenant.")] = 0.8,
    config: ConfigOption = None,
) -> None:
    """Call a gateway as all its tenants would, until Ctrl-C. For demonstrations: it spends their credits."""
    from gateway.commands.serving import run
    from gateway.commands.showing import send_traffic

    settings = _settings(config)
    if not settings.secrets.token_keys:
        _wrong("tokens can only be made where an issuer has a shared secret")
    _guarded(lambda: run(send_traffic(settings, url=url, calls_per_s=calls_per_s)))


@app.command()
def token(
    tenant: Annotated[str, typer.Option(help="Who pays.")],
    team: Annotated[str | None, typer.Option(help="Team of the tenant.")] = None,
    user: Annotated[str | None, typer.Option(help="User of the tenant.")] = "developer",
    ttl_s: Annotated[int, typer.Option(min=1, max=31_536_000, help="Seconds the token is valid.")] = 86_400,
    method: Annotated[list[str] | None, typer.Option(help="Only this method; may be given again.")] = None,
    credits_max: Annotated[str | None, typer.Option(help="The most credits one call may cost.")] = None,
    private_key: Annotated[
        Path | None, typer.Option(help="PEM file to sign with, instead of the configured secret.")
    ] = None,
    kid: Annotated[str | None, typer.Option(help="The private key's id.")] = None,
    config: ConfigOption = None,
) -> None:
    """Issue a signed tenant token, for development. The token alone goes to standard output."""
    from gateway.commands.offline import Refused, Wish, create_missing_secret, issued, signer_from

    settings = _settings(config, secrets=False)
    try:
        signer = signer_from(private_key, kid) if private_key is not None else None
        written = create_missing_secret(settings) if signer is None else None
        if written is not None:
            print(f"made a new signing secret in {written}", file=sys.stderr)
        print(issued(settings, Wish(tenant, team, user, ttl_s, tuple(method or ()), credits_max), signer=signer))
    except Refused as refused:
        _wrong(str(refused))


@app.command()
def quote(
    method: Annotated[str, typer.Argument(help="What is asked for, such as text2image or edit-image.")],
    width: Annotated[int | None, typer.Option(min=1, max=8192, help="Pixels.")] = None,
    height: Annotated[int | None, typer.Option(min=1, max=8192, help="Pixels.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, max=1000)] = None,
    upscale: Annotated[bool, typer.Option("--upscale", help="As upscale=2.")] = False,
    lora: Annotated[int, typer.Option(min=0, max=2, help="How many LoRAs.")] = 0,
    option: Annotated[list[str] | None, typer.Option(help="A priced switch, such as refiner.")] = None,
    image: Annotated[Path | None, typer.Option(help="The image to upload; its size counts.")] = None,
    file: Annotated[Path | None, typer.Option(help="A request body, read as the gateway would.")] = None,
    content_type: Annotated[str, typer.Option(help="Content type of --file.")] = "application/json",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    config: ConfigOption = None,
) -> None:
    """Price a call without making it, itemised."""
    from gateway.commands.offline import Asked, Refused, as_json, as_text, priced_file, priced_flags

    tariff = _settings(config, secrets=False).tariff
    asked = Asked(method, width, height, steps, upscale, lora, tuple(option or ()), image)
    try:
        priced = priced_flags(tariff, asked) if file is None else priced_file(tariff, method, file, content_type)
    except Refused as refused:
        _wrong(str(refused))
    print(as_json(priced) if json else as_text(priced))

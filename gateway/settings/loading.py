"""Loading: three files and the environment -> one frozen Settings, or every fault of all of them at once."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import Field, InstanceOf, ValidationError

from gateway.failpoints import Order, read_failpoints
from gateway.pricing.tariff import Tariff
from gateway.settings.compiling import TariffRefusedError, compiled, dry_run
from gateway.settings.crossing import crossed
from gateway.settings.explaining import explained, fault_at
from gateway.settings.faults import Fault, SettingsError, Trail
from gateway.settings.gathering import Gathered, gather
from gateway.settings.overriding import Overrides, read_overrides
from gateway.settings.reading import Document, read_document
from gateway.settings.secret import Secrets
from gateway.settings.sections import GatewayFile
from gateway.settings.shape import Rules
from gateway.settings.tariff import TariffFile
from gateway.settings.tenants import TenantRules, TenantsFile

# For tests that kill gateways. Here only: no file may arm one.
FAILPOINTS = "DEZGO_GATEWAY_FAILPOINTS"

GATEWAY, TARIFF, TENANTS = "gateway.yaml", "tariff.yaml", "tenants.yaml"

_File = TypeVar("_File", bound=Rules)


class Settings(GatewayFile):
    """Everything that is configured, checked whole. Read once at start and never changed (wall 11)."""

    tariff: InstanceOf[Tariff] = Field(description="All rates in force; reproduces every published figure.")
    tenants: Mapping[str, TenantRules] = Field(description="Tenants by name, with their budgets.")
    failpoints: Mapping[str, InstanceOf[Order]] = Field(default_factory=dict, description="For tests only; none armed.")
    secrets: Secrets = Field(description="Key material, read at start; empty when it was not asked for.")


def load_settings(
    config_dir: Path,
    environ: Mapping[str, str],
    *,
    require_secrets: bool = True,
    base_dir: Path | None = None,
) -> Settings:
    """Read `gateway.yaml`, `tariff.yaml`, `tenants.yaml` and the environment, and check them whole.

    Args:
        config_dir: where the three files are.
        environ: secrets, and overrides such as `DEZGO_GATEWAY__LISTEN__PORT=9000`.
        require_secrets: False reads no key material, for commands that need none.
        base_dir: what relative paths in `gateway.yaml` count from; the working directory unless given.

    Raises:
        SettingsError: with every fault that was found, in reading order.
    """
    gateway, tariff, tenants = (read_document(config_dir / name) for name in (GATEWAY, TARIFF, TENANTS))
    overrides = read_overrides(environ, GatewayFile)
    failpoints = _failpoints(environ, overrides)
    gateway.value = overrides.applied(gateway.value)

    file = _validated(gateway, GatewayFile, {}, overrides.names)
    rates = _tariff(tariff)
    tenants_file = _validated(tenants, TenantsFile, {}, {})

    sound = _sound(gateway)
    found = list(crossed(sound, _names(tenants)))
    gathered = gather(sound, environ, base_dir or Path.cwd()) if require_secrets else Gathered()
    for trail, message, hint in (*found, *gathered.found):
        gateway.faults.append(fault_at(gateway, overrides.names, trail, message, hint))

    faults = _in_order(overrides, gateway, tariff, tenants)
    if faults or file is None or rates is None or tenants_file is None:
        raise SettingsError(faults)
    return Settings(
        **dict(file), tariff=rates, tenants=tenants_file.tenants, secrets=gathered.secrets, failpoints=failpoints
    )


def _failpoints(environ: Mapping[str, str], overrides: Overrides) -> dict[str, Order]:
    try:
        return read_failpoints(environ.get(FAILPOINTS, ""))
    except ValueError:
        overrides.refuse(FAILPOINTS, "arms no failpoint", "name=kill[:n], name=error[:n] or name=pause:ms")
        return {}


def _validated(
    document: Document, model: type[_File], names: Mapping[str, object], overrides: Mapping[Trail, str]
) -> _File | None:
    """`document` as a `model`; None, and faults in it, when it is none. `names` are those it may refer to."""
    if not document.readable:
        return None
    try:
        return model.model_validate(document.value, context=dict(names))
    except ValidationError as error:
        document.faults += explained(document, error, model, overrides)
        return None


def _tariff(document: Document) -> Tariff | None:
    names = {key: document.value.get(key) for key in ("rates", "methods")}
    file = _validated(document, TariffFile, {k: v for k, v in names.items() if isinstance(v, dict)}, {})
    if file is None or document.faults:
        return None
    try:
        tariff = compiled(file)
    except TariffRefusedError as error:
        document.faults += [document.fault(trail, problem) for trail, problem in error.problems]
        return None
    for mismatch in dry_run(tariff):
        document.faults.append(document.fault(("examples", mismatch.index), str(mismatch)))
    return tariff


def _sound(document: Document) -> dict[Trail, object]:
    """By section and key, the values of `gateway.yaml` that are in order: a fault in one hides no other's."""
    sound: dict[Trail, object] = {}
    for name, field in GatewayFile.model_fields.items():
        model, section = field.annotation, document.value.get(name, {})
        if document.readable and isinstance(model, type) and issubclass(model, Rules) and isinstance(section, dict):
            spoiled = {str(trail[1]) for trail in document.spoiled if trail[:1] == (name,) and len(trail) > 1}
            sound |= {(name, key): value for key, value in _sound_keys(model, section, spoiled).items()}
    return sound


def _sound_keys(model: type[Rules], section: Mapping[str, object], broken: set[str]) -> dict[str, object]:
    """The values of `section` that are in order, and the defaults of those it leaves out."""
    while True:
        try:
            whole = model.model_validate({key: value for key, value in section.items() if key not in broken})
        except ValidationError as error:
            found = {str(fault["loc"][0]) for fault in error.errors(include_url=False) if fault["loc"]}
            if found <= broken:
                return {}
            broken = broken | found
        else:
            return {key: value for key, value in whole if key not in broken}


def _names(document: Document) -> Mapping[str, object] | None:
    tenants = document.value.get("tenants")
    return tenants if document.readable and isinstance(tenants, dict) else None


def _in_order(overrides: Overrides, *documents: Document) -> list[Fault]:
    faults = list(overrides.faults)
    for document in documents:
        faults += sorted(document.faults, key=lambda fault: (fault.line, fault.column))
    return faults


def default_config_dir() -> Path:
    """Where the configuration is when nobody says: `./config`, the copy inside the package, or the checkout's."""
    here, package = Path("config"), Path(__file__).resolve().parent.parent
    found = [place for place in (package / "_config", package.parent / "config") if (place / GATEWAY).is_file()]
    return here if (here / GATEWAY).is_file() or not found else found[0].resolve()

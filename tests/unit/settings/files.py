"""A small configuration to change in tests, and the marks that say where a fault must stand."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.settings import Fault, Settings, SettingsError, load_settings

MASTER_KEY = "DEZGO-0123456789ABCDEF"
TOKEN_SECRET = "a-made-up-secret-of-more-than-32-bytes"
ENVIRON = {"DEZGO_API_KEY": MASTER_KEY, "GATEWAY_TOKEN_SECRET": TOKEN_SECRET}

# Stands in a changed file where the fault must be laid; it is taken out before the file is written.
MARK = "§"

GATEWAY = """\
listen:
  host: 127.0.0.1
  port: 8080
upstream:
  flavour: direct
  head_timeout_s: 180
  total_timeout_s: 300
identity:
  issuers:
    - issuer: me
      audiences: [gateway]
      keys:
        - kid: local
          algorithm: HS256
          secret: {env: GATEWAY_TOKEN_SECRET}
      claims: {tenant: tenant, team: team}
ledger:
  allow_unsafe_store: false
  fsync: everysec
  hold_ttl_s: 900
shutdown:
  drain_s: 25
logs:
  level: info
"""

TARIFF = """\
version: "2026-07-17"
rates:
  standard:
    kind: pixel_step
    per_pixel_step: "6.849e-6"
    per_step: -1.133
    pixels_min: 262144
    steps_min: 10
  sdxl:
    kind: step_table
    table: {10: 32, 30: 75, 150: 330}
    per_step: 2.13
    base: 11.8
  flat:
    kind: flat
    credits: 12
methods:
  text2image:
    rate: standard
    status: published
    source: price page
    verbs: [POST, GET]
    lora: flat
  edit-image:
    rate: standard
    status: published
    source: price page
    basis: larger
    image_parameter: init_image
    options: {refiner: flat}
  text2image_sdxl:
    rate: sdxl
    status: published
    source: price page
examples:
  - {method: text2image, width: 512, height: 512, steps: 30, credits: 19}
  - {method: text2image_sdxl, steps: 30, credits: 75}
"""

TENANTS = """\
tenants:
  studio:
    title: The studio
    budgets:
      - {credits: 20000, every: month, zone: Europe/Berlin, starts_on: 1}
      - {credits: 1500.5, every: day}
    each_user:
      - {credits: 400, every: day}
    teams:
      ads:
        budgets:
          - {credits: 600, every: week, starts_on: monday}
    users:
      alice:
        budgets:
          - {credits: 100, every: hour}
  labs:
    budgets:
      - {credits: 1000, every: total}
"""

TEXTS = {"gateway.yaml": GATEWAY, "tariff.yaml": TARIFF, "tenants.yaml": TENANTS}


def write(directory: Path, **changed: str) -> Path:
    """Write the three files, some of them changed, into `directory`; `gateway=…` is `gateway.yaml`."""
    for name, text in TEXTS.items():
        content = changed.get(name.removesuffix(".yaml"), text)
        (directory / name).write_text(content.replace(MARK, ""), encoding="utf-8", newline="")
    return directory


def changed(text: str, old: str, new: str) -> str:
    """`text` with its one `old` replaced by `new`."""
    assert text.count(old) == 1, "a change must hit exactly one place"
    return text.replace(old, new)


def marked(text: str) -> tuple[int, int]:
    """Line and column of the mark."""
    before = text[: text.index(MARK)]
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def load(directory: Path, environ: Mapping[str, str] = ENVIRON) -> Settings:
    """Load what `write` wrote; secrets come from `environ` only."""
    return load_settings(directory, environ, base_dir=directory)


def faults(directory: Path, environ: Mapping[str, str] = ENVIRON) -> tuple[Fault, ...]:
    """The faults of a configuration that must be refused."""
    with pytest.raises(SettingsError) as refused:
        load(directory, environ)
    assert refused.value.faults
    return refused.value.faults


def only_fault(directory: Path, environ: Mapping[str, str] = ENVIRON) -> Fault:
    """The one fault of a configuration that must be refused for one reason."""
    found = faults(directory, environ)
    assert len(found) == 1, "\n".join(map(str, found))
    return found[0]

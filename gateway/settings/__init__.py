"""Settings: YAML and environment -> one frozen Settings, checked whole at start (wall 11).

reading, scalars    a file -> plain values and their places; an unambiguous part of YAML
shape, sections,    what may stand where: keys, kinds, bounds, meanings
  issuers, tenants, tariff
compiling           tariff.yaml -> Tariff, tried on the published figures
overriding          environment variables that take the place of a value
crossing            bounds across sections and files
secret, gathering   key material, never shown
changes             a secret's file that is replaced while the gateway runs
explaining, faults  what is wrong, where, and what to do about it
loading             all of it together
"""

from gateway.settings.compiling import Mismatch, dry_run
from gateway.settings.faults import Fault, SettingsError
from gateway.settings.loading import Settings, default_config_dir, load_settings
from gateway.settings.secret import SecretError, Secrets, TokenKey, read_secret
from gateway.settings.shape import SecretRef
from gateway.settings.tenants import BudgetRule, TeamRules, TenantRules, UserRules

__all__ = [
    "BudgetRule",
    "Fault",
    "Mismatch",
    "SecretError",
    "SecretRef",
    "Secrets",
    "Settings",
    "SettingsError",
    "TeamRules",
    "TenantRules",
    "TokenKey",
    "UserRules",
    "default_config_dir",
    "dry_run",
    "load_settings",
    "read_secret",
]

"""The two descriptions as they are kept in docs/openapi. `python -m tests.openapi` writes them anew."""

import json
from pathlib import Path
from typing import Any

from gateway.settings import load_settings
from gateway.web.openapi import clients_document, operators_document
from gateway.web.routes import Routes

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "openapi"


def documents() -> dict[str, dict[str, Any]]:
    """By file name, what the shipped configuration describes itself as."""
    settings = load_settings(ROOT / "config", {}, require_secrets=False)
    return {"clients.json": clients_document(Routes(settings.tariff)), "operators.json": operators_document()}


def text_of(document: dict[str, Any]) -> str:
    """As it stands in a file."""
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, document in documents().items():
        (FOLDER / name).write_text(text_of(document), encoding="utf-8")

"""The descriptions of both listeners are the code's own: routes, problems, prices; and they are well formed."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.errors import ClientGone, UnknownPath, VerbNotAllowed
from gateway.problems import INTERNAL, TABLE
from gateway.settings import load_settings
from gateway.web.openapi import REFUSALS, clients_document, operators_document
from gateway.web.ops import GUARDED_PATHS, OPEN_PATHS
from gateway.web.routes import Kind, Routes
from tests.openapi import FOLDER, ROOT, documents, text_of

ROUTES = Routes(load_settings(ROOT / "config", {}, require_secrets=False).tariff)
CLIENTS, OPERATORS = clients_document(ROUTES), operators_document()


@pytest.mark.parametrize("name", documents())
def test_the_kept_copy_is_the_one_that_is_served(name: str) -> None:
    assert (FOLDER / name).read_text("utf-8") == text_of(documents()[name]), "python -m tests.openapi writes it anew"


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every (path, verb, operation)."""
    for path, item in document["paths"].items():
        for verb, operation in item.items():
            if verb != "parameters":
                yield path, verb.upper(), operation


def test_every_route_is_described_under_each_of_its_verbs_and_nothing_else_is() -> None:
    said = {(path, verb) for path, verb, _ in operations(CLIENTS)}
    real = {(path, verb) for path, route in ROUTES.table.items() for verb in route.verbs}
    assert said == real | {("/unstable/job/{job}", "GET")}
    for path, verb in said:
        ROUTES.match(verb, path.replace("{job}", "abc"))
    assert set(OPERATORS["paths"]) == {*OPEN_PATHS, *GUARDED_PATHS}


def test_every_error_of_the_table_is_told_somewhere_with_each_of_its_statuses() -> None:
    """Save three: no operation has an unknown path or verb, and nobody is left to be told that the client is gone."""
    assert set(REFUSALS) == set(Kind)
    described = {error for errors in REFUSALS.values() for error in errors}
    assert described == set(TABLE) - {UnknownPath, VerbNotAllowed, ClientGone}
    for name, response in CLIENTS["components"]["responses"].items():
        group, status = name.rsplit("-", 1)
        schema = response["content"]["application/problem+json"]["schema"]
        ours = schema["anyOf"][0] if Kind[group.upper()] in {Kind.PAID, Kind.INFO, Kind.JOB} else schema
        (_, told) = ours["allOf"]
        for reason in told["properties"]["reason"]["enum"]:
            rows = [
                row for kind, row in TABLE.items() if kind.reason == reason and kind in REFUSALS[Kind[group.upper()]]
            ]
            statuses = {s for row in rows or [INTERNAL] for s in (row.status, row.other.status if row.other else 0)}
            assert int(status) in statuses, name


@pytest.mark.parametrize("document", [CLIENTS, OPERATORS], ids=["clients", "operators"])
def test_a_description_is_whole_and_holds_together(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    references = set(re.findall(r'"#/([^"]+)"', text))
    for reference in references:
        found: Any = document
        for step in reference.split("/"):
            found = found[step]
    unused = set(document["components"]["responses"]) - {r.rsplit("/", 1)[1] for r in references}
    assert not unused
    names = [operation.get("operationId", path) for path, _, operation in operations(document)]
    assert len(set(names)) == len(names)
    for path, verb, operation in operations(document):
        assert operation["summary"], (path, verb)
        assert {"200", "400", "431", "500"} <= set(operation["responses"]), (path, verb)
        declared = [parameter["name"] for parameter in document["paths"][path].get("parameters", [])]
        assert re.findall(r"{(\w+)}", path) == declared
        for requirement in operation.get("security", []):
            assert set(requirement) <= set(document["components"]["securitySchemes"])


def test_every_priced_parameter_of_the_tariff_is_described() -> None:
    for path, _, operation in operations(CLIENTS):
        method = ROUTES.table[path].method if path in ROUTES.table else None
        if method is not None:
            for content in operation["requestBody"]["content"].values():
                assert set(content["schema"]["properties"]) == set(method.parameters)
            assert operation["x-price"]["status"] == method.status

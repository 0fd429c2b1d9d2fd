"""Routes: one exact form of each path, and nothing else reaches it."""

import pytest

from gateway.errors import BadHttp, GatewayError, NotYourJob, UnknownPath, Unpriced, VerbNotAllowed
from gateway.pricing.rates import FlatRate
from gateway.pricing.tariff import Method, Status, Tariff
from gateway.web.routes import Kind, Routes, known_verb
from tests.unit.pricing.rates import STANDARD

TEXT = Method("text2image", STANDARD, Status.PUBLISHED, "s", verbs=frozenset({"GET", "POST"}))
EDIT = Method("edit-image", STANDARD, Status.PUBLISHED, "s")
OFF = Method("text2video", FlatRate(STANDARD.per_pixel_step), Status.ESTIMATED, "s", enabled=False)
ROUTES = Routes(Tariff("v", {method.name: method for method in (TEXT, EDIT, OFF)}))


@pytest.mark.parametrize(
    ("verb", "target", "kind", "path"),
    [
        ("POST", "/text2image", Kind.PAID, "/text2image"),
        ("GET", "/text2image", Kind.PAID, "/text2image"),
        ("POST", "/text2image/", Kind.PAID, "/text2image"),
        ("POST", "/edit-image?a=b", Kind.PAID, "/edit-image"),
        ("GET", "/info", Kind.INFO, "/info"),
        ("GET", "/info/", Kind.INFO, "/info"),
        ("GET", "/account/tx/last", Kind.ACCOUNT, "/account/tx/last"),
        ("GET", "/gateway/budget", Kind.BUDGET, "/gateway/budget"),
        ("POST", "/gateway/quote/edit-image", Kind.QUOTE, "/edit-image"),
        ("GET", "/unstable/job/abc-_9", Kind.JOB, "/unstable/job/abc-_9"),
    ],
)
def test_a_path_goes_upstream_as_its_routes_own_constant(verb: str, target: str, kind: Kind, path: str) -> None:
    route, _ = ROUTES.match(verb, target)
    assert (route.kind, route.path) == (kind, path)


def test_the_raw_query_is_kept_as_it_is() -> None:
    assert ROUTES.match("POST", "/text2image?a=%20b&a=c")[1] == "a=%20b&a=c"


@pytest.mark.parametrize(
    ("verb", "target", "error"),
    [
        ("POST", "/text2image//", Unpriced),
        ("POST", "//text2image", Unpriced),
        ("POST", "/TEXT2IMAGE", Unpriced),
        ("POST", "/text2image%2f", Unpriced),
        ("POST", "/%74ext2image", Unpriced),
        ("POST", "/text2image;x", Unpriced),
        ("POST", "/text2image/../info", Unpriced),
        ("POST", "/text2image%00", Unpriced),
        ("POST", "/text2image.", Unpriced),
        ("POST", "/new-and-unknown", Unpriced),
        ("POST", "/text2video", Unpriced),
        ("POST", "/gateway/quote/text2video", Unpriced),
        ("GET", "/", UnknownPath),
        ("GET", "/robots.txt", UnknownPath),
        ("GET", "/metrics", UnknownPath),
        ("GET", "/unstable/job/", NotYourJob),
        ("GET", "/unstable/job/a/b", NotYourJob),
        ("GET", "/unstable/job/%2e%2e", NotYourJob),
        ("GET", "/unstable/job/" + "a" * 129, NotYourJob),
        ("GET", "/edit-image", VerbNotAllowed),
        ("PUT", "/text2image", VerbNotAllowed),
        ("POST", "/info", VerbNotAllowed),
        ("GET", "http://evil.example/text2image", BadHttp),
        ("OPTIONS", "*", BadHttp),
        ("CONNECT", "evil.example:443", BadHttp),
    ],
)
def test_every_other_spelling_is_refused(verb: str, target: str, error: type[GatewayError]) -> None:
    with pytest.raises(error):
        ROUTES.match(verb, target)


def test_a_refused_verb_is_told_which_there_are() -> None:
    with pytest.raises(VerbNotAllowed) as refused:
        ROUTES.match("DELETE", "/text2image")
    assert refused.value.allowed == ("GET", "POST")


def test_names_and_verbs_are_closed_sets() -> None:
    assert ROUTES.names >= {"text2image", "quote", "job", "unmatched"}
    assert (known_verb("GET"), known_verb("BREW")) == ("GET", "OTHER")

"""Routes: every path a client may ask for, matched on one exact form.

A path is looked up as it stands in the request line, byte for byte, save one trailing slash, which shipped
clients send. Nothing is decoded or normalised, so no spelling trick reaches another route; what goes upstream is
the route's own constant path.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from gateway.errors import BadHttp, NotYourJob, UnknownPath, Unpriced, VerbNotAllowed
from gateway.jobs import JOB_ID
from gateway.pricing.tariff import Method, Tariff

JOB_PREFIX = "/unstable/job/"
QUOTE_PREFIX = "/gateway/quote/"

_VERBS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})


class Kind(Enum):
    """What a route is for."""

    PAID = auto()
    INFO = auto()
    JOB = auto()
    ACCOUNT = auto()
    QUOTE = auto()
    BUDGET = auto()
    OPENAPI = auto()


@dataclass(frozen=True, slots=True)
class Route:
    """One path.

    Attributes:
        kind: what is done with it.
        name: constant; a metric label.
        path: the constant upstream path; for job polls with the checked id in it.
        verbs: HTTP methods it has.
        method: the tariff's entry, for paid calls and quotes.
        job_id: the asked job, for polls.
    """

    kind: Kind
    name: str
    path: str
    verbs: frozenset[str]
    method: Method | None = None
    job_id: str | None = None


_GET, _POST = frozenset({"GET"}), frozenset({"POST"})


class Routes:
    """The table of all routes of a tariff."""

    def __init__(self, tariff: Tariff) -> None:
        self._tariff = tariff
        self._table: Mapping[str, Route] = {
            "/info": Route(Kind.INFO, "info", "/info", _GET),
            "/account/tx/last": Route(Kind.ACCOUNT, "account", "/account/tx/last", _GET),
            "/gateway/budget": Route(Kind.BUDGET, "budget", "/gateway/budget", _GET),
            "/gateway/openapi.json": Route(Kind.OPENAPI, "openapi", "/gateway/openapi.json", _GET),
            **{
                method.path: Route(Kind.PAID, method.name, method.path, method.verbs, method)
                for method in tariff.methods.values()
            },
            **{
                QUOTE_PREFIX + method.name: Route(Kind.QUOTE, "quote", method.path, _POST, method)
                for method in tariff.methods.values()
            },
        }

    @property
    def names(self) -> frozenset[str]:
        """All route names, for closed label sets."""
        return frozenset(route.name for route in self._table.values()) | {"job", "preflight", "unmatched"}

    @property
    def table(self) -> Mapping[str, Route]:
        """Every fixed path and its route; job polls have none."""
        return self._table

    def match(self, verb: str, target: str) -> tuple[Route, str]:
        """The route of a request line and its raw query.

        Raises:
            BadHttp: the target is no origin-form path.
            UnknownPath: there is no such path.
            Unpriced: an unknown path under a verb that may cost money, or a method that is switched off.
            VerbNotAllowed: the path has no such verb.
        """
        if not target.startswith("/"):
            raise BadHttp("the request target must be a path")
        path, _, query = target.partition("?")
        route = self._table.get(path) or self._table.get(path.removesuffix("/")) or _job(path)
        if route is None:
            # Every unknown path under POST is taken for a paid one without a rate: refused, never free.
            raise Unpriced if verb == "POST" else UnknownPath
        if verb not in route.verbs:
            raise VerbNotAllowed(tuple(sorted(route.verbs)))
        if route.method is not None and not route.method.enabled:
            raise Unpriced
        return route, query


def _job(path: str) -> Route | None:
    if not path.startswith(JOB_PREFIX):
        return None
    job_id = path.removeprefix(JOB_PREFIX).removesuffix("/")
    if not JOB_ID.fullmatch(job_id):
        raise NotYourJob
    return Route(Kind.JOB, "job", JOB_PREFIX + job_id, _GET, job_id=job_id)


def known_verb(verb: str) -> str:
    """`verb` if it is one of the common ones, else `OTHER`: a closed set for labels."""
    return verb if verb in _VERBS else "OTHER"

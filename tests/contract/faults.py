"""Store faults: what a store can do to its ledger, and what is promised then. `docs/store-faults.md` says the same.

Each row that can be struck on one node has a `strike`: the fault lasts for as long as its block, which heals it.
The other rows name the test that shows them.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass

from tests.servers.line import SaidNoError
from tests.servers.node import Node, node
from tests.servers.waiting import wait_until

# For one call of the ledger under test. A fault that passes by itself lasts several times as long.
DEADLINE_S = 0.5
_OUTLASTS_S = 3

Strike = Callable[[Node], AbstractContextManager[None]]


@dataclass(frozen=True)
class Fault:
    """One row.

    Attributes:
        name: what happened to the store.
        hold: what a hold says meanwhile: `held`, or the code of `LedgerUnavailable`; any of these.
        settle: what becomes of a settle meanwhile.
        after: what is true once the fault is over.
        strike: how it comes about on a node that runs.
        shown_by: the test that shows it, where `strike` cannot.
    """

    name: str
    hold: tuple[str, ...]
    settle: str
    after: str
    strike: Strike | None = None
    shown_by: str = ""

    def cells(self) -> list[str]:
        """The row as it stands in the document."""
        return [self.name, ", ".join(f"`{said}`" for said in self.hold), self.settle, self.after]


# --- strikes ----------------------------------------------------------------------------------------------------


@contextmanager
def killed(one: Node) -> Iterator[None]:
    """SIGKILL; later a start on what is on disk."""
    one.kill()
    yield
    one.start()


@contextmanager
def restarted(one: Node) -> Iterator[None]:
    """An orderly end and a new start, while nobody asks."""
    one.stop()
    one.start()
    yield


@contextmanager
def stopped(one: Node) -> Iterator[None]:
    """SIGSTOP: connections stay open, and silent."""
    one.pause()
    try:
        yield
    finally:
        one.resume()


def stalled(seconds: float) -> Strike:
    """One command that takes so long; nothing else runs meanwhile."""

    @contextmanager
    def strike(one: Node) -> Iterator[None]:
        with one.line() as line:
            line.say([("DEBUG", "SLEEP", str(seconds))])
            yield
            one.ready()

    return strike


@contextmanager
def paused(one: Node) -> Iterator[None]:
    """CLIENT PAUSE ALL, which nobody can lift: it passes by itself."""
    one.ask("CLIENT", "PAUSE", _OUTLASTS_S * 1000, "ALL")
    yield
    one.ready()


@contextmanager
def writes_paused(one: Node) -> Iterator[None]:
    """CLIENT PAUSE WRITE."""
    one.ask("CLIENT", "PAUSE", 60_000, "WRITE")
    yield
    one.ask("CLIENT", "UNPAUSE")


@contextmanager
def busy(one: Node) -> Iterator[None]:
    """A script without an end."""
    one.set("lua-time-limit", 50)
    with one.line() as line:
        line.say([("EVAL", "while true do end", 0)])
        wait_until(lambda: _refused_with(one, "BUSY"), "the store to say that it is busy")
        yield
        one.ask("SCRIPT", "KILL")


@contextmanager
def loading(one: Node) -> Iterator[None]:
    """A start that reads a long journal, slowly."""
    with one.line() as line:
        line.ask_all([("SET", f"filling:{n}", n) for n in range(20_000)])
    one.stop()
    one.launch("--key-load-delay", "100")
    wait_until(lambda: _refused_with(one, "LOADING"), "the store to say that it is loading")
    yield
    one.ready(within_s=60)


def _refused_with(one: Node, word: str) -> bool:
    try:
        one.ask("PING")
    except SaidNoError as said:
        return str(said).startswith(word)
    except OSError:
        return False
    return False


def configured(name: str, value: str, *, back: str, lines_cut: bool = False) -> Strike:
    """A setting of the store, changed while it runs, and changed back."""

    @contextmanager
    def strike(one: Node) -> Iterator[None]:
        one.set(name, value)
        if lines_cut:
            _hang_up(one)
        yield
        one.set(name, back)

    return strike


def _hang_up(one: Node) -> None:
    """End every connection but the tests' own: those that are open keep the rights they had."""
    with suppress(SaidNoError):
        one.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


@contextmanager
def forbidden(one: Node) -> Iterator[None]:
    """The ledger's user may run no scripts."""
    one.ask("ACL", "SETUSER", "default", "-@scripting")
    yield
    one.ask("ACL", "SETUSER", "default", "+@all")


@contextmanager
def crowded(one: Node) -> Iterator[None]:
    """Others hold every connection there is."""
    most = one.ask("CONFIG", "GET", "maxclients")[1]
    with one.line() as line:
        line.ask("CONFIG", "SET", "maxclients", 1)
        line.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        yield
        line.ask("CONFIG", "SET", "maxclients", most)


@contextmanager
def disk_full(one: Node) -> Iterator[None]:
    """The append-only file cannot grow any more, and the store has noticed."""
    one.limit_files(one.file_size)

    def noticed() -> bool:
        try:
            one.ask("SET", "filling", "x" * 100)
        except SaidNoError as said:
            return str(said).startswith("MISCONF")
        return False

    wait_until(noticed, "the store to notice that its disk is full")
    yield
    one.limit_files(None)


@contextmanager
def demoted(one: Node) -> Iterator[None]:
    """Another node leads; the one under the URL is its replica now, and keeps the connections it has."""
    with node(one.program, one.folder.with_name("other")) as other:
        other.follow(one.port)
        other.caught_up(one)
        other.lead()
        one.follow(other.port)
        yield
        one.lead()


@contextmanager
def scripts_forgotten(one: Node) -> Iterator[None]:
    """SCRIPT FLUSH."""
    one.ask("SCRIPT", "FLUSH")
    yield


# --- the table --------------------------------------------------------------------------------------------------

# Overdue once, others are refused at once: nothing is sent behind a call that is not answered.
SILENT = ("timeout", "stalled")
WAIT, BOOKED = "wait on disk", "are booked"
NONE, GIVEN_UP = "there are none", "are given up: the hold expires at what was held, `uncertain`"
POISONED = ("poisoned",)
# What a failover looks like from outside, depending on the moment.
AWAY = ("connection", *SILENT, "readonly", "loading", "cluster", "replicas")
REPAIRED = "the tenant is closed until an operator repairs it; others go on"
_SAME = "goes on by itself; waiting settles are booked once"

FAULTS: tuple[Fault, ...] = (
    Fault("killed, and started again on its data", ("connection",), WAIT, _SAME, killed),
    Fault("restarted in order while idle", ("held",), BOOKED, "nothing is noticed", restarted),
    Fault("silent (SIGSTOP)", SILENT, WAIT, _SAME, stopped),
    Fault("stalled for longer than the deadline", SILENT, WAIT, _SAME, stalled(_OUTLASTS_S)),
    Fault("stalled for less than the deadline", ("held",), BOOKED, "nothing is noticed", stalled(DEADLINE_S / 5)),
    Fault("all clients paused", SILENT, WAIT, _SAME, paused),
    Fault("writes paused, as in an orderly failover", SILENT, WAIT, _SAME, writes_paused),
    Fault("busy with another's endless script", ("busy",), WAIT, _SAME, busy),
    Fault("loading its data", ("loading",), WAIT, _SAME, loading),
    Fault("out of memory", ("oom",), BOOKED, "goes on by itself", configured("maxmemory", "1", back="0")),
    Fault("disk full", ("misconfigured",), WAIT, _SAME, disk_full),
    Fault(
        "too few replicas for its min-replicas-to-write",
        ("replicas",),
        WAIT,
        _SAME,
        configured("min-replicas-to-write", "1", back="0"),
    ),
    Fault("a read-only replica now, under the same address", ("readonly",), WAIT, _SAME, demoted),
    Fault(
        "asks for a password nobody configured",
        ("auth",),
        WAIT,
        _SAME,
        configured("requirepass", "unknown", back="", lines_cut=True),
    ),
    Fault("forbids the user its scripts", ("auth",), WAIT, _SAME, forbidden),
    Fault("takes no more connections", ("connection",), WAIT, _SAME, crowded),
    Fault("has forgotten the scripts", ("held",), BOOKED, "each script ran once", scripts_forgotten),
    # --- shown by tests of their own
    Fault(
        "down when a gateway starts",
        ("connection",),
        NONE,
        "the gateway does not start; one that runs uses it once it is up",
        shown_by="test_a_gateway_that_finds_no_store_does_not_start",
    ),
    Fault(
        "may evict keys, or keeps nothing on disk",
        ("start refused",),
        NONE,
        "`ledger.allow_unsafe_store` overrules",
        shown_by="test_a_gateway_does_not_start_on_a_store_that_may_forget",
    ),
    Fault(
        "a key of the wrong type",
        POISONED,
        GIVEN_UP,
        REPAIRED,
        shown_by="test_a_hold_over_a_key_of_the_wrong_type_is_refused_whole_and_granted_once_it_is_repaired",
    ),
    Fault(
        "a balance that is no whole number",
        POISONED,
        GIVEN_UP,
        REPAIRED,
        shown_by="test_a_balance_that_is_no_whole_number_is_never_built_on",
    ),
    Fault(
        "the primary dies, Sentinels promote its replica",
        AWAY,
        WAIT,
        "goes on with what the new primary knows; see durability",
        shown_by="test_when_sentinels_promote_a_replica_calls_are_refused_till_then_and_go_on_by_themselves",
    ),
    Fault(
        "a primary wakes up after its replica was promoted",
        AWAY,
        WAIT,
        "what it took alone was never acknowledged (`replicated`), or may be lost (`local`); see durability",
        shown_by="test_what_a_primary_takes_that_wakes_up_after_its_replica_was_promoted_is_not_acknowledged",
    ),
    Fault(
        "a node of a cluster dies, its replica takes over",
        AWAY,
        WAIT,
        "tenants of other nodes notice nothing; its own go on by themselves",
        shown_by="test_when_a_node_of_a_cluster_dies_only_its_tenants_wait_till_its_replica_takes_over",
    ),
    Fault(
        "an orderly failover of a cluster, under load",
        ("held", *AWAY),
        WAIT,
        "nothing acknowledged is lost",
        shown_by="test_an_orderly_failover_under_load_loses_and_doubles_nothing",
    ),
    Fault(
        "a slot on its way to another node",
        ("held", "cluster"),
        "are booked, or wait on disk",
        "goes on at its new place",
        shown_by="test_while_a_slot_moves_calls_are_held_or_refused_whole_and_go_on_at_its_new_place",
    ),
    Fault(
        "a slot moves in one step (Valkey 9), under load",
        ("held", *AWAY),
        "are booked, or wait on disk",
        "nothing acknowledged is lost",
        shown_by="test_a_slot_that_moves_in_one_step_under_load_loses_and_doubles_nothing",
    ),
    Fault(
        "too few replicas for `durability: replicated`",
        ("replicas", *SILENT),
        WAIT,
        _SAME,
        shown_by="test_without_the_replica_holds_are_refused_settles_wait_and_all_goes_on_when_it_is_back",
    ),
)

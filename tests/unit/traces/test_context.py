"""`traceparent` and `tracestate` by the W3C's rules: what is read, what counts as none, what is sent on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.messages import Fields
from gateway.traces.context import MEMBERS_MAX, STATE_CHARACTERS_MAX, Context, read_context

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GOOD = f"00-{TRACE}-{SPAN}-01"


def read(*parents: str, state: tuple[str, ...] = ()) -> Context | None:
    fields = [("traceparent", parent) for parent in parents] + [("tracestate", value) for value in state]
    return read_context(tuple(fields))


def state_of(*values: str) -> tuple[str, ...]:
    found = read(GOOD, state=values)
    assert found is not None
    return found.state


def test_the_specifications_own_example_is_read_and_told_the_same() -> None:
    found = read(GOOD, state=("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",))
    assert found == Context(TRACE, SPAN, 1, ("rojo=00f067aa0ba902b7", "congo=t61rcWkgMzE"))
    assert found.fields() == (
        ("traceparent", GOOD),
        ("tracestate", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"),
    )


@pytest.mark.parametrize(
    "parent",
    [
        "",
        "00",
        GOOD[:-1],
        GOOD + "0",
        GOOD + "-what-the-future-will-be-like",
        GOOD.upper(),
        GOOD.replace("-", "_"),
        GOOD.replace("4", "g", 1),
        "ff" + GOOD[2:],
        "0" + GOOD,
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-1g",
        f"cc-{TRACE}-{SPAN}-01.what",
        GOOD + ", " + GOOD,
    ],
)
def test_a_malformed_parent_counts_as_none(parent: str) -> None:
    assert read(parent, state=("rojo=1",)) is None


def test_two_parents_count_as_none_and_a_state_alone_is_nothing() -> None:
    assert read(GOOD, GOOD) is None
    assert read(state=("rojo=1",)) is None


def test_a_later_version_is_read_as_far_as_it_is_known_and_sent_on_as_this_one() -> None:
    for parent in (f"cc-{TRACE}-{SPAN}-01", f"01-{TRACE}-{SPAN}-01-what-the-future-will-be-like"):
        found = read(parent)
        assert found is not None
        assert found.fields() == (("traceparent", GOOD),)


@pytest.mark.parametrize(("said", "known"), [("00", 0), ("01", 1), ("02", 2), ("03", 3), ("ff", 3), ("fc", 0)])
def test_flags_without_a_meaning_are_not_sent_on(said: str, known: int) -> None:
    found = read(f"00-{TRACE}-{SPAN}-{said}")
    assert found is not None
    assert found.flags == known


def test_states_in_several_fields_are_one_list_in_order() -> None:
    assert state_of("a=1, b=2", "", ",c=3 ,\td=4") == ("a=1", "b=2", "c=3", "d=4")
    assert state_of("fw529a3039@dt=FfAAAAAAAAA", "0a*_-/b@v=x y") == ("fw529a3039@dt=FfAAAAAAAAA", "0a*_-/b@v=x y")


@pytest.mark.parametrize(
    "state", ["a", "a=", "=1", "A=1", "a =1", "a=1=2", "0a=1", "a@=1", "a=1,a=2", "a=é", "a=1\x7f", "a@Bc=1", "a=1,b"]
)
def test_a_malformed_state_is_dropped_alone(state: str) -> None:
    assert state_of(state) == ()


def test_a_state_is_bounded_by_members_and_characters() -> None:
    members = [f"k{number}=v" for number in range(MEMBERS_MAX)]
    assert state_of(",".join(members)) == tuple(members)
    assert state_of(",".join([*members, "more=1"])) == ()
    long = "long=" + "x" * 200
    kept = state_of(",".join([long, *(f"k{number}={'v' * 60}" for number in range(12))]))
    assert long not in kept
    assert kept[0] == "k0=" + "v" * 60
    assert STATE_CHARACTERS_MAX - 70 < len(",".join(kept)) <= STATE_CHARACTERS_MAX


PIECES = st.sampled_from((GOOD, TRACE, SPAN, "-", "00", "01", "ff", "a=1", ",", " ", "é", "\x00", "k@v=2"))
TEXTS = st.lists(PIECES, max_size=8).map("".join) | st.text(max_size=80)


@given(st.lists(st.tuples(st.sampled_from(("traceparent", "tracestate", "accept")), TEXTS), max_size=6))
def test_whatever_comes_what_is_sent_on_is_well_formed_and_means_the_same(fields: list[tuple[str, str]]) -> None:
    found = read_context(tuple(fields))
    if found is None:
        return
    onward: Fields = found.fields()
    assert read_context(onward) == found
    assert all(value.isascii() and value.isprintable() and len(value) <= STATE_CHARACTERS_MAX for _, value in onward)

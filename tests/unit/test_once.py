"""Promises of once.py: different calls never look the same, and what is kept of a call can always be read again."""

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.once import FACTS_BYTES_MAX, FREE, Digest, Facts, Once

PARTS = st.lists(st.binary(max_size=8), max_size=4)
ASKED = (b"POST", b"/text2image", b"", b"application/json", b"{}")
FULL = Facts(
    reason="ok",
    status=200,
    content_type="application/json",
    bytes=2,
    sha256="ab" * 32,
    seed="7",
    job_id="job_7",
    body='{"é": "\u2028"}',
)


@given(PARTS, PARTS)
def test_two_lists_of_parts_look_the_same_only_when_they_are(one: list[bytes], other: list[bytes]) -> None:
    assert (Digest(one).told() == Digest(other).told()) == (one == other)


@pytest.mark.parametrize("payer", [("studio", None, "bob"), ("studio", "ann", None), ("studio", "", "ann"), ("st",)])
def test_a_key_belongs_to_who_pays(payer: tuple[str | None, ...]) -> None:
    mine = Once.of("k", ("studio", None, "ann"), ASKED)
    theirs = Once.of("k", payer, ASKED)
    assert mine.key != theirs.key
    assert mine.fingerprint == theirs.fingerprint


@pytest.mark.parametrize("place", range(len(ASKED)))
def test_every_part_of_what_is_asked_is_in_the_fingerprint_and_none_in_the_key(place: int) -> None:
    other = list(ASKED)
    other[place] += b"x"
    mine, changed = Once.of("k", ("studio",), ASKED), Once.of("k", ("studio",), other)
    assert mine.key == changed.key
    assert mine.fingerprint != changed.fingerprint


def test_neither_key_nor_call_can_be_read_from_what_is_kept() -> None:
    once = Once.of("my-secret-key", ("studio",), (b"a prompt",))
    assert {len(once.key), len(once.fingerprint)} == {64}
    assert "my-secret-key" not in repr(once)


@pytest.mark.parametrize("facts", [FULL, Facts(), Facts(reason="cancelled"), replace(FULL, body=None)])
def test_facts_are_read_as_they_were_written(facts: Facts) -> None:
    assert Facts.read(facts.written()) == facts
    assert facts.written() != FREE


def test_a_body_that_makes_the_facts_too_long_is_left_out() -> None:
    facts = replace(FULL, body="\0" * 4096)
    assert Facts.read(facts.written()) == replace(FULL, body=None)
    largest = replace(FULL, body='"' * 4096, content_type="x" * 256, seed="s" * 256, job_id="j" * 256)
    assert Facts.read(largest.written()) == largest
    assert len(largest.written().encode()) <= FACTS_BYTES_MAX


@given(
    st.text(max_size=40) | st.sampled_from(["[]", "7", "null", '{"status": true, "reason": 7}', '{"bytes": 1.5}', "{"])
)
def test_what_is_not_of_its_kind_is_not_known(text: str) -> None:
    assert Facts.read(text) == Facts() or text.strip() == "{}"


def test_facts_have_no_place_for_money_or_for_who_asked() -> None:
    """Money is the record's, where an operator's correction shows; the request id is the hold's id."""
    assert {field.name for field in fields(Facts)} == {
        *("reason", "status", "content_type", "bytes", "sha256", "seed", "job_id", "body"),
    }

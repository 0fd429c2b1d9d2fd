"""The short way to a line: the same text as the long one, or none."""

import json
import math

from hypothesis import given
from hypothesis import strategies as st

from gateway.logs.plain import ITEMS_MAX, plainly

_VALUES = st.one_of(st.text(max_size=300), st.integers(), st.floats(), st.booleans(), st.none(), st.binary(max_size=3))


@given(st.dictionaries(st.text(max_size=20), _VALUES, max_size=6))
def test_a_plain_line_is_what_json_makes_of_the_event_and_no_other_is_plain(event: dict[str, object]) -> None:
    event.pop("ts", None)
    line = plainly({"ts": "now"}, event)
    if line is not None:
        assert line == json.dumps({"ts": "now"} | event, ensure_ascii=True, allow_nan=False)


def test_words_numbers_and_truths_are_plain() -> None:
    event = {"event": "request", "status": 200, "ms": 1.5, "gone": False, "client": "192.0.2.1"}
    assert plainly(event) == json.dumps(event)


def test_what_needs_taming_is_not_plain() -> None:
    awkward = ["a" * 257, 'a"b', "a\\b", "é", "a\nb", 2**63, math.nan, math.inf, None, b"", [1], {"a": 1}]
    assert [plainly({"name": value}) for value in awkward] == [None] * len(awkward)
    assert plainly({1: "name"}) is None
    assert plainly({'a"b': 1}) is None
    assert plainly({str(number): number for number in range(ITEMS_MAX + 1)}) is None

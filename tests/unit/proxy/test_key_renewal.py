"""A renewed key: calls carry the new one, the former ones are still found where they must not be."""

import pytest

from gateway.proxy.master_key import FORMER_KEYS, MasterKey
from tests.unit.proxy.test_key import FORMS

KEYS = [f"DEZGO-{number:064X}" for number in range(1, FORMER_KEYS + 3)]


def test_the_new_key_opens_and_both_are_found_in_every_form() -> None:
    key = MasterKey(KEYS[0])
    key.renew(KEYS[1])
    assert key.open() == KEYS[1]
    for text in KEYS[:2]:
        for spell in FORMS.values():
            assert key.found_in(b"<" + spell(text.encode()) + b">")


def test_a_watch_stops_at_either_key_also_when_it_is_cut_in_two() -> None:
    key = MasterKey(KEYS[0])
    key.renew(KEYS[1])
    for text in KEYS[:2]:
        for thorough in (True, False):
            watch = key.watch(thorough=thorough)
            assert watch.passed(b"a" * 500 + text[:30].encode()) is not None
            assert watch.passed(text[30:].encode()) is None


def test_only_the_last_few_former_keys_are_kept() -> None:
    key = MasterKey(KEYS[0])
    for text in KEYS[1:]:
        key.renew(text)
    assert [key.found_in(text.encode()) for text in KEYS] == [False] + [True] * (FORMER_KEYS + 1)


def test_what_is_no_key_changes_nothing() -> None:
    key = MasterKey(KEYS[0])
    for text in ("", "short", KEYS[1] + "\n", "ä" * 40):
        with pytest.raises(ValueError, match="16 to 512") as refused:
            key.renew(text)
        assert text == "" or text not in str(refused.value)
    assert key.open() == KEYS[0]


def test_a_renewed_key_still_shows_nothing_and_going_back_is_a_renewal_too() -> None:
    key = MasterKey(KEYS[0])
    key.renew(KEYS[1])
    key.renew(KEYS[0])
    assert key.open() == KEYS[0]
    assert key.found_in(KEYS[1].encode())
    assert repr(key) == str(key) == f"{key}" == "***"
    shown = repr([getattr(key, name) for name in dir(key) if "MasterKey__" in name])
    assert not [text for text in KEYS if text in shown]

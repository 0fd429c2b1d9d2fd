"""Values: records compared by what they hold."""

import pytest

from gateway.values import value


@value(frozen=True, slots=True)
class _Place:
    row: int
    seat: str = "a"


def test_values_are_equal_and_hashed_by_what_they_hold() -> None:
    assert _Place(1) == _Place(1, "a") != _Place(2)
    assert len({_Place(1), _Place(1), _Place(2)}) == 2
    assert repr(_Place(1)) == "_Place(row=1, seat='a')"


def test_a_value_has_no_room_for_more_than_its_fields() -> None:
    with pytest.raises(AttributeError):
        setattr(_Place(1), "level", 3)  # noqa: B010 - the type checker would refuse it


def test_only_what_is_frozen_for_the_type_checker_is_a_value() -> None:
    with pytest.raises(TypeError):
        value(frozen=False, slots=True)(_Place)

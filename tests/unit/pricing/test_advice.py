"""Advice: what is suggested really fits, and is the closest of its kind."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.pricing.advice import cheaper
from gateway.pricing.job import Job, Size
from gateway.pricing.quote import quote
from gateway.units import Credits
from tests.unit.pricing.rates import FLUX, METHODS, TARIFF, TEXT2IMAGE, UPSCALER


def test_a_large_picture_is_offered_as_a_small_one_upscaled() -> None:
    advice = cheaper(TARIFF, TEXT2IMAGE, Job("text2image", 1024, 1024), Credits.whole(100))
    assert advice is not None
    assert (advice.width, advice.height, advice.steps, advice.upscaled) == (512, 512, 30, True)
    assert advice.credits == Credits.whole(31)


def test_where_halving_is_not_possible_the_most_steps_that_fit_are_offered() -> None:
    advice = cheaper(TARIFF, TEXT2IMAGE, Job("text2image", 512, 512, 100), Credits.whole(33))
    assert advice is not None
    assert (advice.width, advice.steps, advice.upscaled) == (512, 51, False)
    one_more = quote(TARIFF, TEXT2IMAGE, Job("text2image", 512, 512, advice.steps + 1))
    assert one_more.total > Credits.whole(33)


def test_nothing_is_offered_where_nothing_fits() -> None:
    assert cheaper(TARIFF, TEXT2IMAGE, Job("text2image"), Credits.whole(5)) is None
    assert cheaper(TARIFF, FLUX, Job("text2image_flux"), Credits.whole(29)) is None
    assert cheaper(TARIFF, UPSCALER, Job("upscale", image=Size(1024, 1024)), Credits.whole(20)) is None


@given(
    st.sampled_from(METHODS),
    st.integers(320, 2048),
    st.integers(320, 2048),
    st.integers(1, 200),
    st.booleans(),
    st.integers(0, 1000),
)
def test_what_is_offered_costs_what_it_says_and_fits(
    method_number: object, width: int, height: int, steps: int, upscaled: bool, remaining: int
) -> None:
    method = method_number
    assert isinstance(method, type(TEXT2IMAGE))
    job = Job(method.name, width, height, steps, upscaled, image=Size(width, height))
    advice = cheaper(TARIFF, method, job, Credits.whole(remaining))
    if advice is not None:
        assert quote(TARIFF, method, advice.job).total == advice.credits <= Credits.whole(remaining)

"""A rate that makes no sense is refused when it is built, naming the key."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from gateway.pricing.rates import FlatRate, Measure, PixelRate, PixelStepRate, RateError, StepTableRate
from gateway.pricing.tariff import Basis, Method, Status, Tariff
from tests.unit.pricing.rates import SDXL, STANDARD, TEXT2IMAGE

D = Decimal


@pytest.mark.parametrize(
    ("build", "key"),
    [
        (lambda: PixelStepRate(D("-1"), D(5), 1, 1), "per_pixel_step"),
        (lambda: PixelStepRate(D("1e-6"), D(-2), 512, 1), "per_step"),
        (lambda: PixelStepRate(D("1e-13"), D(0), 1, 1), "per_pixel_step"),
        (lambda: PixelStepRate(D("NaN"), D(0), 1, 1), "per_pixel_step"),
        (lambda: PixelStepRate(D(1), D(0), 0, 1), "pixels_min"),
        (lambda: PixelStepRate(D(1), D(0), 1, 0), "steps_min"),
        (lambda: PixelRate(D(-1), 1), "per_pixel"),
        (lambda: FlatRate(D(-1)), "credits"),
        (lambda: FlatRate(D("Infinity")), "credits"),
        (lambda: StepTableRate((), D(1), D(1)), "table"),
        (lambda: StepTableRate(((10, D(5)), (10, D(6))), D(1), D(1)), "table"),
        (lambda: StepTableRate(((10, D(-5)),), D(1), D(1)), "table"),
        (lambda: StepTableRate(((10, D(50)), (20, D(40))), D(1), D(30)), "table"),
        (lambda: StepTableRate(((10, D(50)),), D(-1), D(80)), "per_step"),
        (lambda: Method("m", STANDARD, Status.PUBLISHED, "s", factor=0), "factor"),
        (lambda: Method("m", STANDARD, Status.PUBLISHED, "s", basis=Basis.IMAGE), "basis"),
        (lambda: Method("m", STANDARD, Status.PUBLISHED, "s", image_parameter="image"), "basis"),
        (lambda: Method("m", FlatRate(D(10**10)), Status.PUBLISHED, "s"), "rate"),
        (lambda: Tariff("v", {"other": TEXT2IMAGE}), "other"),
    ],
)
def test_nonsense_is_refused_when_built(build: Callable[[], object], key: str) -> None:
    with pytest.raises(RateError) as refused:
        build()
    assert refused.value.key == key
    assert str(refused.value).startswith(f"{key}: ")


def test_the_sdxl_line_never_lets_the_price_fall() -> None:
    prices = [SDXL.exact(Measure(1, steps)) for steps in range(1, 400)]
    assert prices == sorted(prices)


def test_a_method_lists_exactly_the_parameters_that_change_its_price() -> None:
    assert dict(TEXT2IMAGE.parameters) == {
        "width": "side",
        "height": "side",
        "steps": "steps",
        "upscale": "upscale",
        "lora1": "lora",
        "lora2": "lora",
    }
    assert not Method("m", FlatRate(D(1)), Status.ESTIMATED, "s").parameters


def test_a_switched_off_method_has_no_price() -> None:
    off = Method("text2image", STANDARD, Status.ESTIMATED, "s", enabled=False)
    assert Tariff("v", {"text2image": off}).method("text2image") is None
    assert Tariff("v", {}).method("text2image") is None

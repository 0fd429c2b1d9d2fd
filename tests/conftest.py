"""What tests of every kind may ask for."""

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture
def uncollected() -> Iterator[None]:
    """What leaves a cycle behind stays, until the test is over."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()

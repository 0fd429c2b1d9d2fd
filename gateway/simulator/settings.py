"""What a simulator can be told. Where the upstream's ways are not known, a setting stands for the doubt."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

Flavour = Literal["direct", "rapidapi"]
Billing = Literal["floored", "exact", "ceiling"]

CREDITS_PER_USD = 10_000
BODY_BYTES_MAX = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorSettings:
    """How one simulator behaves.

    Attributes:
        key: the master key it expects; never shown.
        flavour: which of the two ways of selling it plays.
        balance_usd: the direct account at the start, in USD.
        quota_credits: the RapidAPI account at the start, in credits.
        quota_reset_s: seconds from the start to the announced reset; only announced, never done.
        delay_s: scale of a plausible working time: a call of 30 steps takes twice this. 0 for none.
        billing: whether each part of a price is floored, exact or rounded up when it is charged.
        off_grid: what happens to a side that is no multiple of 8: rounded up, or refused with 400.
        billed_size: whether rounded-up sides are billed as drawn or as asked.
        side_max: longest side in pixels; above it 400 with `title`.
        steps_max: most steps; above it 400.
        uploaded_pixels_max: largest uploaded image, in pixels; above it 400.
        transparent_credits: added by `transparent_background`. No official figure is known.
        refiner_credits: added by `refiner`. No official figure is known.
        listed_models_only: refuse a `model` that `/info` does not list.
        async_paths: paths that always answer with a job to poll instead of an image.
        files_url: where files of finished jobs are said to lie; by default another name of this host.
        allow_header_faults: honour the request header `x-simulator-fault`.
        drawn: draw prompt and seed into each image; without, one plain image per size is reused (for load).
        drawing_hands: how many images are made at the same time.
        body_timeout_s: longest wait for a request body, and for an image to be made.
        seed: start of everything that looks random: seeds and job ids.
    """

    key: str = field(repr=False)
    flavour: Flavour = "direct"
    balance_usd: Decimal = Decimal(10)
    quota_credits: int = 20_000
    quota_reset_s: int = 30 * 86_400
    delay_s: float = 0.3
    billing: Billing = "floored"
    off_grid: Literal["round_up", "refuse"] = "round_up"
    billed_size: Literal["drawn", "asked"] = "drawn"
    side_max: int = 2048
    steps_max: int = 150
    uploaded_pixels_max: int = 2048 * 2048
    transparent_credits: int = 0
    refiner_credits: int = 0
    listed_models_only: bool = False
    async_paths: frozenset[str] = frozenset()
    files_url: str | None = None
    allow_header_faults: bool = False
    drawn: bool = True
    drawing_hands: int = 2
    body_timeout_s: float = 60.0
    seed: int = 1

    @property
    def starting_credits(self) -> Decimal:
        """What the account of this flavour holds at the start, in credits."""
        if self.flavour == "direct":
            return Decimal(self.balance_usd) * CREDITS_PER_USD
        return Decimal(self.quota_credits)

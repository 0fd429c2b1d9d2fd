"""What the upstream charges, in exact decimal arithmetic, from the published formulas (fact sheet, 4).

This file knows nothing of the gateway's own pricing, and must not: the two are checked against each other.
"""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from gateway.simulator.order import Order
from gateway.simulator.settings import Billing, SimulatorSettings

STANDARD_PIXELS_MIN = 512 * 512
UPSCALE_PIXELS_MIN = 320 * 320
STEPS_MIN = 10

# Official table, USD 0.0032 … 0.0330; between its rows the safe straight line counts.
SDXL_TABLE = {10: 32, 20: 54, 30: 75, 40: 96, 80: 181, 150: 330}

_ROUNDINGS = {"floored": ROUND_FLOOR, "ceiling": ROUND_CEILING}


def standard_credits(pixels: int, steps: int) -> Decimal:
    """The standard formula for `pixels` in all and `steps`, not rounded."""
    counted = max(pixels, STANDARD_PIXELS_MIN)
    return (counted * Decimal("6.849e-6") - Decimal("1.133")) * max(steps, STEPS_MIN)


def upscale_credits(pixels: int) -> Decimal:
    """The price of upscaling an image of `pixels` in all, not rounded."""
    return max(pixels, UPSCALE_PIXELS_MIN) * Decimal("4.9278e-5")


def sdxl_credits(steps: int) -> Decimal:
    """The price of an SDXL image in whole credits: by steps only, whatever the size."""
    counted = max(steps, STEPS_MIN)
    if counted in SDXL_TABLE:
        return Decimal(SDXL_TABLE[counted])
    return (Decimal("2.13") * counted + Decimal("11.8")).to_integral_value(ROUND_CEILING)


def rounded(credits: Decimal, billing: Billing) -> Decimal:
    """One part of a price, as it is billed."""
    rounding = _ROUNDINGS.get(billing)
    return credits if rounding is None else credits.to_integral_value(rounding)


def price(order: Order, settings: SimulatorSettings) -> Decimal:
    """What `order` is charged, in credits: the sum of its parts, each rounded on its own."""
    return _work(order, settings.billing) + _extras(order, settings)


def _work(order: Order, billing: Billing) -> Decimal:
    endpoint = order.endpoint
    if endpoint.rule == "upscale":
        return rounded(upscale_credits(order.billed_pixels), billing)
    if endpoint.rule == "standard":
        return endpoint.times * rounded(standard_credits(order.billed_pixels, order.steps), billing)
    if endpoint.rule == "sdxl":
        return sdxl_credits(order.steps)
    return Decimal(endpoint.flat_credits)


def _extras(order: Order, settings: SimulatorSettings) -> Decimal:
    width, height = order.size
    extras = Decimal(order.loras * order.endpoint.lora_credits)
    if order.upscaled:
        extras += rounded(upscale_credits(width * height), settings.billing)
    if order.transparent:
        extras += settings.transparent_credits
    if order.refined:
        extras += settings.refiner_credits
    return extras

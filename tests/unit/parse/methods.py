"""Tariff entries of every shape the parser meets, and a short way to call it."""

from decimal import Decimal

from gateway.parse.limits import Limits
from gateway.parse.read import read_job
from gateway.pricing.job import Job
from gateway.pricing.tariff import Basis, FlatRate, Method, PixelRate, PixelStepRate, Status, StepTableRate

STANDARD = PixelStepRate(Decimal("6.849e-6"), Decimal("-1.133"), 512 * 512, 10)
ENLARGING = PixelRate(Decimal("4.9278e-5"), 320 * 320)
BY_STEPS = StepTableRate(((10, Decimal(32)), (150, Decimal(330))), Decimal("2.13"), Decimal("11.8"))
TWELVE = FlatRate(Decimal(12))
PUBLISHED = Status.PUBLISHED

TEXT = Method("text2image", STANDARD, PUBLISHED, "test", upscale=ENLARGING, lora=TWELVE)
SDXL = Method(
    "text2image_sdxl",
    BY_STEPS,
    PUBLISHED,
    "test",
    lora=TWELVE,
    options={"refiner": TWELVE, "transparent_background": TWELVE},
)
FLAT = Method("text2image_flux", FlatRate(Decimal(30)), Status.ESTIMATED, "test")
PICTURE = Method(
    "image2image",
    STANDARD,
    PUBLISHED,
    "test",
    basis=Basis.LARGER,
    upscale=ENLARGING,
    lora=TWELVE,
    image_parameter="init_image",
)
ENLARGE = Method("upscale", ENLARGING, PUBLISHED, "test", basis=Basis.IMAGE, image_parameter="image")

METHODS = (TEXT, SDXL, FLAT, PICTURE, ENLARGE)

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


def read(method: Method, content_type: str, body: bytes, *, query: str = "", limits: Limits | None = None) -> Job:
    """`read_job` with one Content-Type."""
    return read_job(method, content_type=(content_type,), query=query, body=body, limits=limits or Limits())

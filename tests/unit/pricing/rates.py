"""The published rates, written out by hand for the tests of this folder; source: the upstream's price pages."""

from decimal import Decimal

from gateway.pricing.rates import FlatRate, PixelRate, PixelStepRate, StepTableRate
from gateway.pricing.tariff import Basis, Method, Status, Tariff

STANDARD = PixelStepRate(Decimal("6.849e-6"), Decimal("-1.133"), 512 * 512, 10)
UPSCALE = PixelRate(Decimal("4.9278e-5"), 320 * 320)
SDXL = StepTableRate(
    tuple((steps, Decimal(row)) for steps, row in ((10, 32), (20, 54), (30, 75), (40, 96), (80, 181), (150, 330))),
    Decimal("2.13"),
    Decimal("11.8"),
)

TEXT2IMAGE = Method("text2image", STANDARD, Status.PUBLISHED, "price page", upscale=UPSCALE, lora=FlatRate(Decimal(12)))
CONTROLNET = Method(
    "controlnet",
    STANDARD,
    Status.PUBLISHED,
    "price page",
    factor=2,
    basis=Basis.LARGER,
    image_parameter="init_image",
    upscale=UPSCALE,
    lora=FlatRate(Decimal(12)),
)
IMAGE2IMAGE = Method(
    "image2image", STANDARD, Status.PUBLISHED, "price page", basis=Basis.LARGER, image_parameter="init_image"
)
UPSCALER = Method("upscale", UPSCALE, Status.PUBLISHED, "price page", basis=Basis.IMAGE, image_parameter="image")
TEXT2IMAGE_SDXL = Method(
    "text2image_sdxl",
    SDXL,
    Status.PUBLISHED,
    "price page",
    width=1024,
    height=1024,
    lora=FlatRate(Decimal(51)),
    options={"refiner": FlatRate(Decimal(25))},
)
FLUX = Method("text2image_flux", FlatRate(Decimal(30)), Status.ESTIMATED, "third-party figure")

METHODS = (TEXT2IMAGE, CONTROLNET, IMAGE2IMAGE, UPSCALER, TEXT2IMAGE_SDXL, FLUX)
TARIFF = Tariff("test", {method.name: method for method in METHODS})

"""`tariff.yaml`: nonsense is refused at its line, and a tariff that misses a published figure never loads."""

from decimal import Decimal
from pathlib import Path

import pytest

from gateway.pricing.rates import PixelStepRate
from gateway.pricing.tariff import Basis, Example, Status, Tariff
from gateway.settings import dry_run
from tests.unit.settings.files import TARIFF, changed, faults, load, marked, only_fault, write

EDIT = "    basis: larger\n    image_parameter: init_image\n"
TEXT = "methods.text2image"

# What is changed, into what (§: where the fault must stand), its key path, the message, the hint.
MISTAKES = [
    ('"2026-07-17"', "§2026-07-17", "version", "make a date of this", "in quotes"),
    ('"2026-07-17"', '§"two words"', "version", "1 to 64 of A-Z", ""),
    ("    kind: pixel_step", "    kind: §pixel_steps", "rates.standard.kind", "must be one of", "`pixel_step`"),
    ("    kind: flat\n", "", "rates.flat.kind", "is missing", ""),
    ('"6.849e-6"', "§6.849e-6", "rates.standard.per_pixel_step", "exponent", "all its digits"),
    ('"6.849e-6"', '§"6.849e-13"', "rates.standard.per_pixel_step", "at most 12 decimals", ""),
    ('"6.849e-6"', '§"-6.849e-6"', "rates.standard.per_pixel_step", "must not be negative", ""),
    ('"6.849e-6"', '§"lots"', "rates.standard.per_pixel_step", "must be a decimal number", "in quotes"),
    ('"6.849e-6"', "§true", "rates.standard.per_pixel_step", "must be a decimal number", "in quotes"),
    ('"6.849e-6"', '§"1e99"', "rates.standard.per_pixel_step", "must be at most", ""),
    ("    per_step: -1.133", "    per_step: §-3", "rates.standard.per_step", "cheaper than nothing", ""),
    (
        "    per_step: -1.133",
        "    §per_stp: -1.133\n    per_step: -1.133",
        "rates.standard.per_stp",
        "known",
        "`per_step`",
    ),
    ("    pixels_min: 262144", "    pixels_min: §0", "rates.standard.pixels_min", "must be at least 1", ""),
    ("    steps_min: 10", "    steps_min: §0", "rates.standard.steps_min", "must be at least 1", ""),
    ("{10: 32, 30: 75,", "§{10: 76, 30: 75,", "rates.sdxl.table", "the price falls around", ""),
    ("{10: 32, ", "{10: 32, §010: 32, ", "rates.sdxl.table.010", "must be a number of steps", ""),
    ("{10: 32, 30: 75, 150: 330}", "§{}", "rates.sdxl.table", "needs at least 1", ""),
    ('"6.849e-6"', "1", "rates.standard", "above 100,000 USD", ""),
    ("    credits: 12\n", "    credits: §100000001\n", "rates.flat.credits", "must be at most 100000000", ""),
    (
        "rate: standard\n    status: published\n    source: price page\n    verbs",
        "rate: §standrad\n    status: published\n    source: price page\n    verbs",
        f"{TEXT}.rate",
        "names nothing in `rates`",
        "`standard`",
    ),
    ("    lora: flat", "    lora: §flt", f"{TEXT}.lora", "names nothing in `rates`", "`flat`"),
    ("    lora: flat", "    status: §x", f"{TEXT}.status", "given twice", ""),
    ("    lora: flat", "    factor: §0", f"{TEXT}.factor", "must be at least 1", ""),
    ("    lora: flat", "    width: §0", f"{TEXT}.width", "must be at least 1", ""),
    ("    lora: flat", "    enabled: §on", f"{TEXT}.enabled", "truth value", ""),
    ("[POST, GET]", "[POST, §PUT]", f"{TEXT}.verbs[1]", "must be 'GET' or 'POST'", ""),
    ("[POST, GET]", "§POST", f"{TEXT}.verbs", "must be a list", ""),
    (EDIT, "    basis: §larger\n", "methods.edit-image.basis", "belong together", ""),
    (EDIT, "    basis: §large\n", "methods.edit-image.basis", "must be 'size'", "`larger`"),
    ("init_image", "§width", "methods.edit-image.image_parameter", "another meaning", ""),
    ("{refiner: flat}", "{steps: §flat}", "methods.edit-image.options.steps", "another meaning", ""),
    ("{refiner: flat}", "{refiner: §none}", "methods.edit-image.options.refiner", "names nothing in `rates`", ""),
    ("  edit-image:", "  §edit image:", 'methods."edit image"', "1 to 64 of a-z", ""),
    ("{method: text2image,", "{method: §text2img,", "examples[0].method", "names nothing in `methods`", "`text2image`"),
    (
        "  - {method: text2image, width: 512",
        "  - §{method: text2image, image_width: 512, width: 512",
        "examples[0]",
        "belong together",
        "",
    ),
    ("credits: 19}", "credits: 20}", "examples[0]", "20 credits are published, the tariff says 19", ""),
    ('"6.849e-6"', '"6.949e-6"', "examples[0]", "19 credits are published, the tariff says 20", ""),
]


@pytest.mark.parametrize(("old", "new", "where", "message", "hint"), MISTAKES)
def test_a_mistake_is_laid_to_its_place_with_the_way_out(
    tmp_path: Path, old: str, new: str, where: str, message: str, hint: str
) -> None:
    text = changed(TARIFF, old, new)
    found = faults(write(tmp_path, tariff=text))
    fault = next(fault for fault in found if fault.where == where)
    assert message in fault.message
    assert hint in fault.hint
    assert fault.file == str(tmp_path / "tariff.yaml")
    if "§" in new and "twice" not in message:
        assert (fault.line, fault.column) == marked(text)


def test_an_example_that_is_not_reproduced_is_laid_to_its_line(tmp_path: Path) -> None:
    fault = only_fault(write(tmp_path, tariff=changed(TARIFF, "steps: 30, credits: 75", "steps: 30, credits: 74")))
    assert (fault.line, fault.where) == (
        TARIFF[: TARIFF.index("{method: text2image_sdxl")].count("\n") + 1,
        "examples[1]",
    )
    assert fault.message == "example 2: 74 credits are published, the tariff says 75"


def test_the_dry_run_names_each_example_it_misses(tmp_path: Path) -> None:
    tariff = load(write(tmp_path)).tariff
    wrong = (Example("text2image", 18), *tariff.examples, Example("nothing", 1))
    missed = dry_run(Tariff(version="x", methods=tariff.methods, examples=wrong))
    assert [(found.index, found.quoted is None) for found in missed] == [(0, False), (3, True)]
    assert dry_run(tariff) == []


def test_a_tariff_comes_out_as_it_stands_in_the_file(tmp_path: Path) -> None:
    tariff = load(write(tmp_path)).tariff
    text, edit = tariff.methods["text2image"], tariff.methods["edit-image"]
    assert tariff.version == "2026-07-17"
    assert isinstance(text.rate, PixelStepRate)
    assert (text.rate.per_pixel_step, text.rate.per_step) == (Decimal("0.000006849"), Decimal("-1.133"))
    assert (text.verbs, text.status) == (frozenset({"GET", "POST"}), Status.PUBLISHED)
    assert (text.width, text.height, text.steps, text.basis) == (512, 512, 30, Basis.SIZE)
    assert (edit.basis, edit.image_parameter, set(edit.options)) == (Basis.LARGER, "init_image", {"refiner"})
    assert edit.verbs == frozenset({"POST"})


def test_a_method_can_be_switched_off(tmp_path: Path) -> None:
    text = changed(TARIFF, "    rate: sdxl\n", "    rate: sdxl\n    enabled: false\n")
    tariff = load(write(tmp_path, tariff=text)).tariff
    assert tariff.method("text2image_sdxl") is None
    assert tariff.method("text2image") is not None

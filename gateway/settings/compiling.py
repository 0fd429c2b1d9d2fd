"""Compiling: `tariff.yaml` -> `Tariff`, and the dry run on its published figures. A bad tariff serves nobody."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.pricing.job import Job, Size
from gateway.pricing.quote import quote
from gateway.pricing.rates import Rate, RateError
from gateway.pricing.tariff import Example, Method, Tariff
from gateway.settings.faults import Trail
from gateway.settings.tariff import MethodRules, TariffFile
from gateway.units import Credits


class TariffRefusedError(Exception):
    """Some methods make no sense together with their rates. `problems` gives the way to each, and why."""

    def __init__(self, problems: list[tuple[Trail, str]]) -> None:
        super().__init__()
        self.problems = problems


def compiled(file: TariffFile) -> Tariff:
    """The tariff `file` describes. Raises TariffRefusedError; the examples are not tried here."""
    rates = {name: rules.build() for name, rules in file.rates.items()}
    methods: dict[str, Method] = {}
    problems: list[tuple[Trail, str]] = []
    for name, rules in file.methods.items():
        try:
            methods[name] = _method(name, rules, rates)
        except RateError as error:
            problems.append((("methods", name, error.key), error.problem))
    if problems:
        raise TariffRefusedError(problems)
    examples = tuple(Example(**example.model_dump()) for example in file.examples)
    return Tariff(version=file.version, methods=methods, examples=examples)


def _method(name: str, rules: MethodRules, rates: Mapping[str, Rate]) -> Method:
    replaced: dict[str, Any] = {
        "rate": rates[rules.rate],
        "verbs": frozenset(rules.verbs),
        "upscale": rates[rules.upscale] if rules.upscale is not None else None,
        "lora": rates[rules.lora] if rules.lora is not None else None,
        "options": {option: rates[rate] for option, rate in rules.options.items()},
    }
    return Method(name=name, **{**dict(rules), **replaced})


@dataclass(frozen=True, slots=True)
class Mismatch:
    """An example the tariff does not reproduce.

    Attributes:
        index: its place in the tariff's examples, from 0.
        example: the published figure.
        quoted: what the tariff says instead; None when it lacks the method.
    """

    index: int
    example: Example
    quoted: Credits | None

    def __str__(self) -> str:
        said = "the tariff lacks its method" if self.quoted is None else f"the tariff says {self.quoted}"
        return f"example {self.index + 1}: {self.example.credits} credits are published, {said}"


def dry_run(tariff: Tariff) -> list[Mismatch]:
    """Price every example of `tariff`; the answer lists those that come out otherwise than published."""
    mismatches = []
    for index, example in enumerate(tariff.examples):
        method = tariff.methods.get(example.method)
        quoted = quote(tariff, method, _job(example)).total if method is not None else None
        if quoted != Credits.whole(example.credits):
            mismatches.append(Mismatch(index, example, quoted))
    return mismatches


def _job(example: Example) -> Job:
    image = None
    if example.image_width is not None and example.image_height is not None:
        image = Size(example.image_width, example.image_height)
    return Job(
        method=example.method,
        width=example.width,
        height=example.height,
        steps=example.steps,
        upscaled=example.upscaled,
        loras=example.loras,
        image=image,
    )

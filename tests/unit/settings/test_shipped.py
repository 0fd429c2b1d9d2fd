"""The configuration we ship: it loads, it says the code's defaults, and it reproduces every published figure."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from gateway.pricing.tariff import Basis, Example, Status
from gateway.settings import Settings, default_config_dir, dry_run, load_settings
from gateway.settings.issuers import Claims, Identity, Issuer, Key
from gateway.settings.sections import GatewayFile
from gateway.settings.tariff import TariffFile
from gateway.settings.tenants import TenantsFile
from tests.unit.settings.files import ENVIRON

SHIPPED = Path(__file__).parents[3] / "config"

PUBLISHED = {
    *("text2image", "image2image", "inpainting", "text-inpainting", "edit-image"),
    *("controlnet", "upscale", "text2image_sdxl"),
}
ESTIMATED = {
    *("text2image_sdxl_lightning", "text2image_flux", "text2image_flux_2_pro", "image2image_flux_2_pro"),
    *("image2image_sdxl", "remove-background", "text_moderation_simple"),
    *("text2video_wan_2_6", "text2video_wan_2_1", "text2video"),
}


@pytest.fixture(scope="module")
def shipped() -> Settings:
    return load_settings(SHIPPED, ENVIRON)


def test_the_shipped_configuration_loads_with_two_secrets_given(shipped: Settings) -> None:
    assert set(shipped.tenants) == {"studio", "web", "labs"}
    assert {key.kid for key in shipped.secrets.token_keys} == {"local"}


def test_the_token_secret_may_come_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / ".dezgo-gateway" / "token.secret"
    path.parent.mkdir()
    path.write_text("f" * 40 + "\n")
    path.chmod(0o600)
    settings = load_settings(SHIPPED, {"DEZGO_API_KEY": "x"}, base_dir=tmp_path)
    assert settings.secrets.token_keys[0].text.get_secret_value() == "f" * 40


def test_every_paid_path_has_a_rate_with_its_certainty_and_source(shipped: Settings) -> None:
    methods = shipped.tariff.methods
    assert {name for name, method in methods.items() if method.status is Status.PUBLISHED} == PUBLISHED
    assert {name for name, method in methods.items() if method.status is Status.ESTIMATED} == ESTIMATED
    assert all(method.source and method.enabled for method in methods.values())
    paid_get = {name for name, method in methods.items() if "GET" in method.verbs}
    assert paid_get == {"text2image"}


def test_images_are_priced_where_the_upstream_prices_them(shipped: Settings) -> None:
    by_image = {name: method.image_parameter for name, method in shipped.tariff.methods.items()}
    larger = {"image2image", "inpainting", "text-inpainting", "edit-image", "controlnet"}
    assert {name for name, parameter in by_image.items() if parameter == "init_image"} == larger
    assert {name for name, parameter in by_image.items() if parameter == "image"} == {"upscale"}
    assert all(shipped.tariff.methods[name].basis is Basis.LARGER for name in larger)
    assert shipped.tariff.methods["upscale"].basis is Basis.IMAGE
    assert shipped.tariff.methods["controlnet"].factor == 2


def text(side: tuple[int, int], credits: int, steps: int = 30, **more: object) -> Example:
    width, height = side
    return Example("text2image", credits, width=width, height=height, steps=steps, **more)  # type: ignore[arg-type]  # upscaled, loras


# Official price pages: standard, upscale, controlnet, LoRA and SDXL tables, and what their formulas imply.
FIGURES = [
    *(text((side, side), credits) for side, credits in ((512, 19), (768, 87), (1024, 181), (320, 19))),
    text((512, 768), 46),
    *(text((512, 512), credits, steps) for steps, credits in ((50, 33), (10, 6), (8, 6))),
    text((1024, 1024), 907, 150),
    text((512, 512), 31, upscaled=True),
    text((320, 320), 24, upscaled=True),
    text((512, 512), 31, loras=1),
    text((512, 512), 43, loras=2),
    *(Example("upscale", c, image_width=s, image_height=s) for s, c in ((320, 5), (512, 12), (768, 29), (1024, 51))),
    *(Example("controlnet", c, width=s, height=s, steps=30) for s, c in ((512, 38), (768, 174), (1024, 362))),
    *(
        Example("text2image_sdxl", credits, steps=steps)
        for steps, credits in ((10, 32), (20, 54), (30, 75), (40, 96), (80, 181), (150, 330))
    ),
]


def test_every_published_figure_is_an_example_and_is_reproduced(shipped: Settings) -> None:
    assert [figure for figure in FIGURES if figure not in shipped.tariff.examples] == []
    assert dry_run(shipped.tariff) == []


def test_estimates_are_what_their_sources_say(shipped: Settings) -> None:
    rates = {name: shipped.tariff.methods[name].rate for name in ESTIMATED - {"image2image_sdxl"}}
    assert {name: getattr(rate, "credits", None) for name, rate in rates.items()} == {
        "text2image_sdxl_lightning": 30,
        "text2image_flux": 30,
        "text2image_flux_2_pro": 200,
        "image2image_flux_2_pro": 200,
        "remove-background": 20,
        "text_moderation_simple": 1,
        "text2video_wan_2_6": 1000,
        "text2video_wan_2_1": 1000,
        "text2video": 1000,
    }
    assert shipped.tariff.methods["image2image_sdxl"].rate == shipped.tariff.methods["text2image_sdxl"].rate


def test_the_shipped_gateway_file_says_the_codes_own_defaults(shipped: Settings) -> None:
    defaults = GatewayFile(identity=shipped.identity)
    assert shipped.model_dump(include=set(GatewayFile.model_fields)) == defaults.model_dump()


def test_the_shipped_store_answers_no_write_before_it_is_safe(shipped: Settings) -> None:
    """With `everysec` it puts writes off while its disk is slow, and forgets them when it is killed then."""
    assert shipped.ledger.fsync == "always"


def keys(model: BaseModel) -> Iterator[str]:
    for name, value in model:
        yield name
        if isinstance(value, BaseModel):
            yield from keys(value)


def test_the_shipped_gateway_file_has_every_key_and_a_comment_beside_each(shipped: Settings) -> None:
    content = (SHIPPED / "gateway.yaml").read_text(encoding="utf-8")
    given = yaml.safe_load(content)
    for name in GatewayFile.model_fields.keys() - {"identity"}:
        assert set(given[name]) == set(type(getattr(shipped, name)).model_fields)
    lines = [line for line in content.splitlines() if re.match(r" *(?:- )?[a-z_]+:", line)]
    bare = [line.strip() for line in lines if "#" not in line]
    assert bare == ["env: GATEWAY_TOKEN_SECRET", "file: .dezgo-gateway/token.secret"]


def models(model: type[BaseModel], seen: set[type[BaseModel]]) -> set[type[BaseModel]]:
    seen.add(model)
    pending = [field.annotation for field in model.model_fields.values()]
    while pending:
        annotation = pending.pop()
        pending += getattr(annotation, "__args__", ())
        if isinstance(annotation, type) and issubclass(annotation, BaseModel) and annotation not in seen:
            models(annotation, seen)
    return seen


@pytest.mark.parametrize("root", [GatewayFile, TariffFile, TenantsFile, Settings])
def test_every_key_says_what_it_means(root: type[BaseModel]) -> None:
    found = models(root, set())
    assert root is not GatewayFile or {Identity, Issuer, Key, Claims} <= found
    silent = [
        f"{model.__name__}.{name}" for model in found for name, f in model.model_fields.items() if not f.description
    ]
    assert silent == []


def test_the_directory_beside_us_comes_first_then_the_packages_then_the_checkouts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_config_dir() == SHIPPED
    (tmp_path / "config").mkdir()
    assert default_config_dir() == SHIPPED
    (tmp_path / "config" / "gateway.yaml").touch()
    assert default_config_dir() == Path("config")

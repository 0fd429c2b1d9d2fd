"""The model list of `GET /info`, in the shape of a recorded answer. Names are the upstream's."""

from collections.abc import Mapping

_SD1 = ("text2image", "image2image", "controlnet")

# id, family, native side in pixels, functions
_MODELS: tuple[tuple[str, str, int, tuple[str, ...]], ...] = (
    ("stablediffusion_1_5", "sd1", 512, _SD1),
    ("dreamshaper_8", "sd1", 512, _SD1),
    ("dreamshaper_8_inpaint", "sd1", 512, ("inpainting",)),
    ("epic_diffusion_1_1", "sd1", 512, _SD1),
    ("absolute_reality_1_8_1", "sd1", 512, _SD1),
    ("0001softrealistic_v187", "sd1", 512, _SD1),
    ("instruct_pix2pix", "sd1", 512, ("edit-image",)),
    ("stablediffusion_2_1_768px", "sd2", 768, ("text2image", "image2image")),
    ("stablediffusion_inpaint_2", "sd2", 512, ("inpainting", "text-inpainting")),
    ("sdxl_1024px", "sdxl", 1024, ("text2image",)),
    ("juggernautxl_1024px", "sdxl", 1024, ("text2image",)),
    ("ponyxl_6", "sdxl", 1024, ("text2image",)),
    ("juggernautxl_9_lightning_1024px", "sdxl_lightning", 1024, ("text2image",)),
    ("flux_1_schnell", "flux_schnell", 1024, ("text2image_flux",)),
    ("juggernautxl_x_inpaint_1024px", "sdxl_inpaint", 1024, ("inpainting",)),
)

MODEL_IDS = frozenset(row[0] for row in _MODELS)


def model_list() -> Mapping[str, object]:
    """The JSON object `GET /info` answers with."""
    return {"name": "dezgo simulator", "version": "v3.152", "models": [_entry(*row) for row in _MODELS]}


def _entry(model_id: str, family: str, side: int, functions: tuple[str, ...]) -> Mapping[str, object]:
    return {
        "id": model_id,
        "name": model_id.replace("_", " ").title(),
        "family": family,
        "description": f"A stand-in for a model of the family {family}.",
        "license": "none",
        "categories": ["general"],
        "functions": list(functions),
        "nativeResolution": {"width": side, "height": side},
        "triggers": [],
    }

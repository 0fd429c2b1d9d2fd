"""Names: hazards PM01, PM02, ID20."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadBody, DuplicateParameter, TokenInUrl
from gateway.parse.names import names_of

NAMES = names_of(("width", "height", "steps", "lora1", "init_image", "transparent_background"))

ALIKE = {
    "steps": [
        *["Steps", "STEPS", "sTePs", " steps", "steps ", "\tsteps", "steps\n", "steps\x00", "\x00steps", "steps\x00x"],
        *["\ufeffsteps", "steps\u200b", "st\u00adeps", "\u2060steps", "steps\u3000", "steps\x85", "\x1bsteps"],
        *["%73teps", "%2573teps", "%252573teps", "steps%00", "steps%20", "steps%5B%5D", "%EF%BD%93teps"],
        *["ｓｔｅｐｓ", "ＳＴＥＰＳ", "ſteps", "stepſ", "ˢteps", "𝐬teps", "ⓢteps", "ste\u0301ps", "stéps"],
        *["steps[]", "steps[0]", "steps[a]", "steps[", "steps.", "steps.0", "steps.value", "[steps]", "[steps][0]"],
        *["steps_", "_steps", "ste-ps", "!steps", "$steps", "steps:", "steps?", "'steps'", '"steps"', "steps\ud800"],
    ],
    "width": ["wıdth", "WİDTH", "w\u0131dth", "Width[]", "w.idth", "+width"],
    "lora1": ["lora_1", "lora①", "lora¹", "LoRA1", "lora1[]"],
    "init_image": ["init image", "init.image", "initImage", "init-image", "INIT_IMAGE", "init_image[]", "init%5Fimage"],
    "transparent_background": ["transparentBackground", "transparent background", "transparent.background[0]"],
}


@pytest.mark.parametrize(("priced", "name"), [(priced, name) for priced, names in ALIKE.items() for name in names])
def test_a_name_some_reader_takes_for_a_priced_one_is_refused(priced: str, name: str) -> None:
    with pytest.raises(DuplicateParameter) as refusal:
        NAMES.is_priced(name)
    assert refusal.value.parameter == priced
    assert NAMES.taken_for(name) == priced


@pytest.mark.parametrize("name", sorted(NAMES.exact))
def test_the_exact_name_is_priced(name: str) -> None:
    assert NAMES.is_priced(name)
    assert NAMES.taken_for(name) == name


@pytest.mark.parametrize(
    "name",
    [
        *["prompt", "negative_prompt", "model", "guidance", "seed", "sampler", "format", "strength", "scale", "style"],
        *["lora1_strength", "lora2", "lora2_strength", "mask_image", "image", "image_guidance", "num_images", "cfg"],
        *["control_model", "control_scale", "step", "steps2", "num_steps", "widths", "", "[]", "%", "%zz", "ѕteps"],
        *["prompt[]", "提示", "🙂", "\ud800", "x" * 256],
    ],
)
def test_other_names_pass(name: str) -> None:
    assert not NAMES.is_priced(name)


@pytest.mark.parametrize(
    "name",
    [
        *["access_token", "accessToken", "ACCESS_TOKEN", "api_key", "api-key", "apikey", "X-Dezgo-Key", "x_dezgo_key"],
        *["X-RapidAPI-Key", "authorization", "Authorization", "token", "jwt", "key", "x-api-key", "access%5Ftoken"],
        *["token[]", "ｊｗｔ"],
    ],
)
def test_the_name_of_a_credential_is_refused(name: str) -> None:
    with pytest.raises(TokenInUrl):
        NAMES.is_priced(name)


def test_a_name_of_more_than_256_characters_is_refused() -> None:
    with pytest.raises(BadBody):
        NAMES.is_priced("x" * 257)


IGNORED = st.text(alphabet=" \t\r\n\x00\x0b\x0c\x1c\x7f\x85\xa0\ufeff\u200b\u200d\u2028\u3000._-[]", max_size=4)
WIDE = {chr(code): chr(code + 0xFEE0) for code in range(0x21, 0x7F)}


@given(
    st.sampled_from(sorted(NAMES.exact)),
    st.lists(st.sampled_from(["keep", "upper", "wide"]), min_size=30, max_size=30),
    st.lists(IGNORED, min_size=31, max_size=31),
)
def test_no_mixture_of_case_width_and_ignorable_characters_hides_a_priced_name(
    priced: str, spellings: list[str], between: list[str]
) -> None:
    letters = [
        {"keep": letter, "upper": letter.upper(), "wide": WIDE[letter]}[how]
        for how, letter in zip(spellings, priced, strict=False)
    ]
    name = "".join(gap + letter for gap, letter in zip(between, letters, strict=False)) + between[-1]
    assert NAMES.taken_for(name) == priced


@given(st.text(max_size=40))
def test_any_name_is_priced_or_free_or_refused(name: str) -> None:
    try:
        assert NAMES.is_priced(name) == (name in NAMES.exact)
    except (DuplicateParameter, TokenInUrl):
        assert name not in NAMES.exact


@pytest.mark.parametrize("name", ["é" * 65, "%25" * 22, "a[" + "b" * 63])
def test_a_long_name_that_is_no_plain_word_is_refused_before_it_is_folded(name: str) -> None:
    with pytest.raises(BadBody):
        NAMES.is_priced(name)
    assert not NAMES.is_priced(name[:64])
    assert not NAMES.is_priced("x" * 200)

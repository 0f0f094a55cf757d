"""Settings of authors' code: each builds what the mechanism's own options build, or is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import zoo
from zoo.errors import OptionError

PORT = {"variant": "lucidrains"}
TUTORIAL = {"variant": "tutorial"}
SIX_BY_SEVEN = {"feat_size": (6, 7)}

SAME: list[tuple[str, int, dict[str, Any], dict[str, Any]]] = [
    ("cross_attention_network", 4, {"height": 6, "width": 7}, SIX_BY_SEVEN),
    ("cross_attention_network", 4, {"num_positions": 42}, SIX_BY_SEVEN),
    ("cross_attention_network", 4, {"height": 6, "feat_size": [6, 6]}, {"feat_size": 6}),
    ("x_linear", 32, {"head_dim": 8}, {"num_heads": 4}),
    ("x_linear", 8, {"block": "encoder", "layers": 2}, {"block": "encoder", "num_layers": 2}),
    ("co_excitation", 16, {"rd_channels": 3}, {"reduced_channels": 3}),
    ("boosted", 4, {"act_layer": torch.nn.ReLU}, {}),
    ("perceiver", 8, {"max_freq": 10, "input_axis": 2}, {**PORT, "input_axis": 2}),
    ("perceiver", 8, {"depth": 3, "self_per_cross": 2},
     {**PORT, "num_blocks": 3, "self_per_block": 2}),
    ("perceiver", 8, {"cross_heads": 2, "cross_head_dim": 6, "latent_head_dim": 3},
     {**PORT, "cross_heads": 2, "qk_channels": 12, "latent_channels": 24}),
    ("perceiver", 8, {"block": "cross_attention", "num_heads": 2, "head_dim": 5},
     {**PORT, "block": "cross_attention", "cross_heads": 2, "qk_channels": 10}),
    ("s3ta", 12, {"value_dim": 7}, {"key_dim": 5}),
    ("show_attend_tell_soft", 8, {"bias": True}, TUTORIAL),
    ("show_attend_tell_soft", 8, {"height": 4, "width": 4}, TUTORIAL),
    ("show_attend_tell_hard", 8, {"n_layers_att": 2}, {"num_layers": 2}),
    ("acf", 8, {"bias": True}, {"variant": "port"}),
    ("xslot", 8, {"num_slots": 20}, {"slots_per_class": 2}),
    ("xslot", 8, {"position": "sine, normalised, temperature 500"}, {"temperature": 500}),
    ("dasnet", 4, {"default_population": 12}, {}),
    ("self_critic", 32, {"rd_ratio": 0.25, "feat_size": 4}, {"reduction": 4, "feat_size": (4, 4)}),
]  # fmt: skip


def described(module: torch.nn.Module) -> tuple[Any, ...]:
    """Its layers, its parameters' shapes, and its own plain attributes."""
    shapes = {name: tensor.shape for name, tensor in module.state_dict().items()}
    plain = (int, float, str, bool, tuple)
    own = {k: v for k, v in vars(module).items() if isinstance(v, plain) and k != "training"}
    return repr(module), shapes, own


@pytest.mark.parametrize(("name", "channels", "theirs", "ours"), SAME)
def test_settings_of_authors_build_what_our_options_build(
    name: str, channels: int, theirs: Any, ours: Any
) -> None:
    with torch.device("meta"):
        built = [zoo.create_attention(name, channels, **options) for options in (theirs, ours)]
    assert described(built[0]) == described(built[1])


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("cross_attention_network", {"height": 0}, "height"),
    ("cross_attention_network", {"feat_size": (2, 3), "num_positions": 7}, "contradict"),
    ("x_linear", {"head_dim": 5}, "head_dim=5"),
    ("x_linear", {"head_dim": 4, "num_heads": 4}, "contradict"),
    ("perceiver", {"depth": 2, "num_blocks": 3, **PORT}, "contradict"),
    ("perceiver", {"head_dim": "wide"}, "head_dim='wide'"),
    ("perceiver", {"cross_heads": 3, "qk_channels": 8}, "qk_channels=8"),
    ("s3ta", {"height": 7}, "together"),
    ("s3ta", {"key_dim": 8}, "leaves no value"),
    ("show_attend_tell_soft", {"semi_sampling_p": 2}, "semi_sampling_p=2"),
    ("show_attend_tell_hard", {"height": -1}, "height"),
    ("acf", {"variant": "both"}, "variant='both'"),
    ("xslot", {"num_slots": 10, "slots_per_class": 2}, "contradict"),
    ("glimpse_sensor", {"out_dim": 255}, "128 [+] 128"),
    ("gain", {"widths": ()}, "no layer"),
    ("self_critic", {"reduction": 4, "reduced_channels": 5, "feat_size": 4}, "contradict"),
]


@pytest.mark.parametrize(("name", "options", "word"), REFUSED)
def test_settings_that_cannot_be_are_refused(name: str, options: Any, word: str) -> None:
    with pytest.raises(OptionError, match=word):
        zoo.create_attention(name, 8, **options)


def test_a_perceiver_reads_as_often_as_its_form_says() -> None:
    """The port before every stack, the official form once; tied stacks are the same ones."""
    schedules = {
        (variant, tied): zoo.create_attention(
            "perceiver", 8, variant=variant, num_blocks=3, weight_tie=tied
        ).schedule
        for variant in ("official", "lucidrains")
        for tied in (True, False)
    }
    assert schedules == {
        ("official", True): ((0, 0), (None, 0), (None, 0)),
        ("official", False): ((0, 0), (None, 1), (None, 2)),
        ("lucidrains", True): ((0, 0), (1, 1), (1, 1)),
        ("lucidrains", False): ((0, 0), (1, 1), (2, 2)),
    }

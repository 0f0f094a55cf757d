"""Options under the names of authors' code and of timm: the same module as under the zoo's own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import zoo
from zoo.errors import OptionError

SAME: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("eca", {"kernel_size": {64: 9, "128": 3}}, {"kernel_size": 9}),
    ("effective_se", {"gate": "sigmoid"}, {"gate_layer": "sigmoid"}),
    ("fca", {"dct_h": 14, "dct_w": 7, "freq_sel_method": "low4"},
     {"dct_size": (14, 7), "frequencies": "low4"}),
    ("fca", {"dct_size": {"64": 14}}, {"dct_size": 14}),
    ("fca", {"freq_indices": [[0, 0], [0, 2]], "dct_size": 14, "freq_sel_method": "top2"},
     {"frequencies": [(0, 0), (0, 2)], "dct_size": 14}),
    ("fca", {"feat_size": (28, 5)}, {"dct_size": (28, 7)}),
    ("global_context", {"use_attn": False, "fuse_scale": True},
     {"pooling": "avg", "fusion": "channel_mul"}),
    ("global_context", {"fuse_add": True, "fuse_scale": True},
     {"fusion": ["channel_mul", "channel_add"]}),
    ("global_context", {"ratio": 0.25}, {"reduced_channels": 16}),
    ("hoga", {"order": 4}, {"num_groups": 4}),
    ("mixed_high_order", {"mixed": True, "max_order": 2, "reduction": 8},
     {"mixed": True, "order": 2, "reduced_channels": 8}),
    ("psa", {"num_scales": 2, "reduction": 4}, {"kernel_size": (3, 5), "reduced_channels": 8}),
    ("selective_kernel", {"kernel_size": 3, "num_paths": 3}, {"kernel_size": (3, 3, 3)}),
    ("selective_kernel", {"kernel_size": [3, 7], "dilation": [2, 6]},
     {"kernel_size": [3, 7], "dilation": 2}),
    ("split_attention", {"norm": "none"}, {"norm_layer": None, "bias": True}),
    ("split_attention", {"rd_channels": 24, "radix": 4}, {"reduced_channels": 96, "radix": 4}),
    ("split_attention", {"in_channels": 128, "rd_ratio": 0.25},
     {"in_channels": 128, "reduction": 4, "reduced_channels": 64}),
    ("bam", {"bias": True, "norm": "batch", "act_layer": nn.ReLU}, {}),
    ("coordinate", {"rd_ratio": 0.5}, {"reduced_channels": 32}),
    ("cot", {"radix": 2, "groups": 4}, {}),
    ("dual_attention", {"num_classes": 3, "reduction": 4}, {"num_classes": 3, "query_channels": 4}),
    ("simam", {"act_layer": nn.ReLU, "device": "cpu"}, {}),
    ("soca", {"rd_divisor": 8}, {}),
    ("efficient_multi_scale", {"factor": 8, "c2": 64}, {"groups": 8}),
    ("ela", {"activation": None, "gate_layer": "sigmoid"}, {"norm_groups": 16, "groups": 64}),
    ("scoord", {"rd_ratio": 0.5, "se_factor": 0.5}, {"reduced_channels": 16}),
    ("scoord", {"rd_channels": 16}, {"reduction": 4}),
    ("lcbam", {"mlp_bias": True, "spatial_kernel_size": 3}, {"bias": True, "kernel_size": 3}),
    ("scse", {"reduction_ratio": 4}, {"reduced_channels": 16}),
    ("gam", {"rate": 8, "norm": "batch"}, {"reduced_channels": 8}),
    ("scsa", {"head_num": 4, "down_sample_mode": "max_pool", "fuse_bn": False},
     {"num_heads": 4, "pool_type": "max"}),
    ("s2_attention", {"num_paths": 3}, {}),
    ("eca", {"use_mlp": True, "bias": True, "rd_ratio": 0.25}, {"use_mlp": True, "reduction": 4}),
    ("ecam", {"bias": True}, {"reduced_channels": 8}),
    ("gct", {"epsilon": 1e-3, "num_channels": 64}, {"eps": 1e-3}),
    ("srm", {"norm": "batch", "channel": 64}, {}),
    ("nam", {"no_spatial": True, "out_channels": None, "t": 16}, {}),
    ("lct", {"groups": 8, "act_layer": nn.ReLU}, {}),
    ("mlca", {"in_size": 64, "b": 1}, {"kernel_size": 3}),
    ("multidimensional_collaborative", {"inp": 64, "no_spatial": True},
     {"channel_branch": False}),
    ("multidimensional_collaborative", {"pool_types": ["avg", "std"]},
     {"kernel_sizes": [3, 3, 3]}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "others", "own"), SAME)
def test_the_names_of_others_make_the_same_module(
    name: str, others: dict[str, Any], own: dict[str, Any]
) -> None:
    x, outputs = torch.randn(1, own.get("in_channels", 64), 9, 8), []
    for options in (others, own):
        torch.manual_seed(0)
        module = zoo.create_attention(name, 64, **options).eval()
        outputs.append((str(module), module(x)))
    assert outputs[0][0] == outputs[1][0]
    assert torch.equal(outputs[0][1], outputs[1][1])


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("cot", {"radix": 4}, ["radix=2", "radix=4"]),
        ("dual_attention", {"num_classes": 3, "reduction": 8, "query_channels": 8}, ["contradict"]),
        ("eca", {"kernel_size": {64: 4}}, ["kernel_size={64: 4}", "odd"]),
        ("fca", {"dct_h": 7}, ["dct_h=7", "dct_w", "together"]),
        ("fca", {"dct_h": 7, "dct_w": 7, "dct_size": 14}, ["dct_size=14", "contradict"]),
        ("fca", {"frequencies": "top3"}, ["frequencies='top3'"]),
        ("global_context", {"use_attn": "yes"}, ["use_attn='yes'", "True or False"]),
        ("hoga", {"genotype": [["tanh", 0]]}, ["genotype", "'skip_connect'"]),
        ("psa", {"num_scales": 5}, ["num_scales=5", "contradict"]),
        ("psa", {"num_scales": "4"}, ["num_scales='4'", "cannot read"]),
        ("psa", {"reduction": 64}, ["reduction=64", "of C=16"]),
        ("psa", {"kernel_size": []}, ["kernel_size"]),
        ("concurrent_se", {"channel": False, "spatial": False}, ["no gate"]),
        ("eca", {"bias": True}, ["bias=True", "use_mlp=False"]),
        ("eca_mlp", {"bias": False}, ["bias=False"]),
        ("efficient_multi_scale", {"groups": 6}, ["groups=6"]),
        ("gated_channel_transformation", {"mode": "l3"}, ["mode='l3'", "'l1'"]),
        ("global_attention", {"groups": 3}, ["groups=3"]),
        ("linear_context", {"groups": 5}, ["groups=5"]),
        ("linear_context", {"groups": 64}, ["single channel"]),
        ("mixed_local_channel", {"local_weight": 1.5}, ["local_weight=1.5"]),
        (
            "multidimensional_collaborative",
            {"no_spatial": True, "channel_branch": True},
            ["no_spatial=True", "contradict"],
        ),
        ("normalization_based", {"spatial": True}, ["spatial=True"]),
        ("s2_attention", {"num_paths": 4}, ["num_paths=4"]),
        ("simple_coordinate", {"rd_ratio": 0.5, "reduction": 4}, ["contradict"]),
        ("spatial_channel_synergistic", {"window_size": 0}, ["window_size=0"]),
        ("spatial_channel_synergistic", {"num_heads": 5}, ["num_heads=5"]),
        ("split_attention", {"norm": "layer"}, ["norm='layer'"]),
        ("split_attention", {"rd_channels": 8, "reduced_channels": 32}, ["rd_channels=8"]),
        ("split_attention", {"radix": "2", "reduction": 4}, ["radix='2'"]),
    ],
)
def test_what_is_not_understood_is_named(
    name: str, options: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(OptionError) as caught:
        zoo.create_attention(name, 64, **options)
    for word in (name, *words):
        assert word in str(caught.value)


@pytest.mark.parametrize("name", ["se", "psa", "split_attention"])
def test_without_channels_no_reduction_is_blamed(name: str) -> None:
    with pytest.raises(OptionError, match=f"{name} needs channels"):
        zoo.create_attention(name, reduction=4)

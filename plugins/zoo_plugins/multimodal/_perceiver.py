"""Specs of the Perceiver."""

from zoo.specs import AttentionSpec, ModelSpec, Paper

PERCEIVER_PAPER = Paper(
    title="Perceiver: General Perception with Iterative Attention",
    authors="Andrew Jaegle et al.",
    venue="ICML",
    year=2021,
    arxiv="2103.03206",
)

PERCEIVER = AttentionSpec(
    name="perceiver",
    target="zoo_plugins.multimodal.perceiver:perceiver",
    family="multimodal",
    contract="set",
    role="none",
    masked=True,
    variants=("official", "lucidrains"),
    dead_parameters=(r"(^|\.)k\.bias$",),  # taken out by the softmax
    paper=PERCEIVER_PAPER,
    license="Apache-2.0",
    reference="transcribed",
    verified="cases",
    key_map="zoo_plugins.multimodal.perceiver_authors:from_authors",
    reference_call="zoo_plugins.multimodal.perceiver:reference_call",
    notes=(
        "The released code reads the input once, the ICML paper several times. The port has no "
        "biases in q, k, v, and GEGLU perceptrons four times as wide."
    ),
)

MODELS = (
    ModelSpec(
        name="perceiver_64",
        target="zoo_plugins.multimodal.perceiver_net:PerceiverNet",
        family="multimodal",
        input={
            "input_size": (3, 64, 64), "num_classes": 10, "mean": (0.5, 0.5, 0.5),
            "std": (0.5, 0.5, 0.5), "crop_pct": 1.0, "interpolation": "bilinear",
            "first_conv": None, "classifier": "head", "pool_size": None,
        },
        paper=PERCEIVER_PAPER,
        license="Apache-2.0",
        reference="transcribed",
        verified="equations",
        notes="Pixels with Fourier features, 64 latents of 128; the blocks are verified by cases.",
    ),
)  # fmt: skip

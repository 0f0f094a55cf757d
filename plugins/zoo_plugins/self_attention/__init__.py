"""Self-attention: positions attend to positions."""

from zoo_plugins.self_attention._linear import LINEAR
from zoo_plugins.self_attention._local import LOCAL
from zoo_plugins.self_attention._tokens import MODELS, TOKENS

from zoo.hookspecs import hookimpl
from zoo.specs import AttentionSpec, ModelSpec, Paper

ATTENTIONS = (
    AttentionSpec(
        name="non_local",
        aliases=("nl", "non_local_block"),
        target="zoo_plugins.self_attention.non_local:NonLocal",
        family="self_attention",
        quadratic=True,
        identity="exact",
        identity_gate=1.0,
        variants=("paper", "official", "timm"),
        dead_parameters=(  # taken out again by the softmax (phi) and by the norm (g, z)
            r"(^|\.)p\.bias$",
            r"(^|\.)g\.bias$",
            r"(^|\.)z\.bias$",
        ),
        paper=Paper(
            title="Non-local Neural Networks",
            authors="Xiaolong Wang, Ross Girshick, Abhinav Gupta, Kaiming He",
            venue="CVPR",
            year=2018,
            arxiv="1711.07971",
        ),
        license="Apache-2.0",
        reference="independent",
        verified="cases",
        key_map=(
            (r"(^|\.)theta\.", r"\1t."),
            (r"(^|\.)phi\.(0\.)?", r"\1p."),
            (r"(^|\.)g\.0\.", r"\1g."),
            (r"(^|\.)concat_project\.0\.", r"\1concat."),
            (r"(^|\.)W\.0\.", r"\1z."),
            (r"(^|\.)W\.1\.", r"\1norm."),
            (r"(^|\.)W\.", r"\1z."),
            (r"(^|\.)out\.", r"\1z."),
            (r"(^|\.)bn\.", r"\1norm."),
        ),
        reference_call="zoo_plugins.self_attention.non_local:reference_call",
        notes=(
            "The authors' code scales the logits and pools the keys by default; "
            "the paper's equations do neither."
        ),
    ),
    *LINEAR,
    *LOCAL,
    *TOKENS,
)


@hookimpl
def zoo_attentions() -> tuple[AttentionSpec, ...]:
    return ATTENTIONS


@hookimpl
def zoo_models() -> tuple[ModelSpec, ...]:
    return MODELS

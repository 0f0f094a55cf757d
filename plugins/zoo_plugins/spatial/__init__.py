"""Spatial attention: where to attend."""

from zoo_plugins.channel import DANET_PAPER
from zoo_plugins.mixed import CBAM_PAPER

from zoo.hookspecs import hookimpl
from zoo.specs import AttentionSpec, Paper

SGE_PAPER = Paper(
    title="Spatial Group-wise Enhance: Improving Semantic Feature Learning in Convolutional "
    "Networks",
    authors="Xiang Li, Xiaolin Hu, Jian Yang",
    venue="arXiv",
    year=2019,
    arxiv="1905.09646",
)

ATTENTIONS = (
    AttentionSpec(
        name="cbam_spatial",
        target="zoo_plugins.mixed.cbam:SpatialGate",
        family="spatial",
        identity="exact",
        identity_gate=0.5,
        paper=CBAM_PAPER,
        license="MIT",
        reference="authors",
        verified="cases",
        key_map=((r"(^|\.)spatial\.(conv|bn)\.", r"\1conv.\2."),),
        notes="The spatial half of cbam. Its batch norm is in the authors' code, not in the paper.",
    ),
    AttentionSpec(
        name="dual_attention_position",
        aliases=("danet_position", "pam"),
        target="zoo_plugins.spatial.dual_attention_position:DualAttentionPosition",
        family="spatial",
        quadratic=True,
        identity="exact",
        identity_gate=1.0,
        dead_parameters=(r"(^|\.)key\.bias$",),  # taken out again by the softmax
        paper=DANET_PAPER,
        license="MIT",
        reference="authors",
        verified="cases",
        key_map=((r"(^|\.)(query|key|value)_conv\.", r"\1\2."),),
        notes="Computes what the paper says; the logits are not scaled.",
    ),
    AttentionSpec(
        name="sge",
        aliases=("spatial_group_enhance",),
        target="zoo_plugins.spatial.sge:SpatialGroupEnhance",
        family="spatial",
        identity="exact",
        identity_gate=0.7310585786300049,  # sigmoid(1)
        paper=SGE_PAPER,
        license="none stated in the repository",
        reference="authors",
        verified="cases",
        notes="64 groups in the authors' networks; here the greatest number that divides both.",
    ),
)


@hookimpl
def zoo_attentions() -> tuple[AttentionSpec, ...]:
    return ATTENTIONS

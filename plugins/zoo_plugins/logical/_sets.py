"""Specs of the set transformer's blocks."""

from zoo.specs import AttentionSpec, Paper

TARGET = "zoo_plugins.logical.set_transformer"
SET_TRANSFORMER = Paper(
    title="Set Transformer: A Framework for Attention-based Permutation-Invariant Neural Networks",
    authors="Juho Lee et al.",
    venue="ICML",
    year=2019,
    arxiv="1810.00825",
)
NOTES = (
    "The authors divide the logits by the root of the whole width, and add to the projected query."
)
DEAD = (r"(^|\.)fc_k\.bias$",)  # taken out by the softmax

SETS = (
    AttentionSpec(
        name="mab",
        aliases=("multihead_attention_block",),
        target=f"{TARGET}:MAB",
        family="logical",
        contract="context",
        role="none",
        masked=True,
        channel_arguments=("dim",),
        dead_parameters=DEAD,
        paper=SET_TRANSFORMER,
        license="MIT",
        reference="authors",
        verified="cases",
        notes=NOTES,
    ),
    AttentionSpec(
        name="sab",
        aliases=("set_attention_block",),
        target=f"{TARGET}:SAB",
        family="logical",
        contract="tokens",
        role="none",
        quadratic=True,
        masked=True,
        channel_arguments=("dim",),
        dead_parameters=DEAD,
        paper=SET_TRANSFORMER,
        license="MIT",
        reference="authors",
        verified="cases",
        notes=NOTES,
    ),
    AttentionSpec(
        name="isab",
        aliases=("induced_set_attention_block",),
        target=f"{TARGET}:ISAB",
        family="logical",
        contract="tokens",
        role="none",
        masked=True,
        channel_arguments=("dim",),
        dead_parameters=DEAD,
        paper=SET_TRANSFORMER,
        license="MIT",
        reference="authors",
        verified="cases",
        notes=NOTES,
    ),
    AttentionSpec(
        name="pma",
        aliases=("pooling_by_multihead_attention",),
        target=f"{TARGET}:PMA",
        family="logical",
        contract="set",
        role="none",
        masked=True,
        channel_arguments=("dim",),
        dead_parameters=DEAD,
        paper=SET_TRANSFORMER,
        license="MIT",
        reference="authors",
        verified="cases",
        notes=f"{NOTES} The paper's row-wise layer before the pooling is not in their code.",
    ),
)

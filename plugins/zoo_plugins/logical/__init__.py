"""Logical attention: sets, sequences and states that choose what to attend to next."""

from zoo_plugins.logical._sets import SETS

from zoo.hookspecs import hookimpl
from zoo.specs import AttentionSpec, Paper

PACKAGE = "zoo_plugins.logical"
SHOW_ATTEND_TELL_PAPER = Paper(
    title="Show, Attend and Tell: Neural Image Caption Generation with Visual Attention",
    authors="Kelvin Xu et al.",
    venue="ICML",
    year=2015,
    arxiv="1502.03044",
)
FORMS = ("original", "tutorial")

ATTENTIONS: tuple[AttentionSpec, ...] = (
    AttentionSpec(
        name="s3ta",
        aliases=("sequential_top_down",),
        target=f"{PACKAGE}.s3ta:SequentialTopDownAttention",
        family="logical",
        contract="step",
        role="none",
        example=f"{PACKAGE}.s3ta:example",
        paper=Paper(
            title="Towards Robust Image Classification Using Sequential Attention Models",
            authors="Daniel Zoran et al.",
            venue="CVPR",
            year=2020,
            arxiv="1912.02184",
        ),
        license="Apache-2.0",
        reference="independent",
        verified="cases",
        key_map=(
            (r"^query\.model\.", "query."),
            (r"^policy_core\.", "core."),
            (r"^answer_processor\.", "processor."),
        ),
        reference_call=f"{PACKAGE}.s3ta:reference_call",
        notes="The authors' code is unreleased; the core is that of their earlier agent. Its port "
        "sends queries and answers through a perceptron: core_input='answers_and_queries_mlp'.",
    ),
    AttentionSpec(
        name="show_attend_tell_soft",
        aliases=("soft_attention",),
        target=f"{PACKAGE}.captioning:show_attend_tell_soft",
        family="logical",
        contract="context",
        role="none",
        masked=True,
        channel_arguments=("dim",),
        variants=FORMS,
        paper=SHOW_ATTEND_TELL_PAPER,
        license="BSD-3-Clause",
        reference="transcribed",
        verified="cases",
        key_map=f"{PACKAGE}.caption_authors:from_authors",
        reference_call=f"{PACKAGE}.caption_authors:reference_call",
        notes="With vocab_size the whole caption decoder. The best-known port has ReLU for tanh, a "
        "gate for each channel, no tanh at the start and one layer at the end.",
    ),
    AttentionSpec(
        name="show_attend_tell_hard",
        aliases=("stochastic_hard_attention",),
        target=f"{PACKAGE}.captioning:show_attend_tell_hard",
        family="logical",
        kind="hard",
        contract="context",
        role="none",
        masked=True,
        channel_arguments=("dim",),
        variants=FORMS,
        paper=SHOW_ATTEND_TELL_PAPER,
        license="BSD-3-Clause",
        reference="transcribed",
        verified="cases",
        key_map=f"{PACKAGE}.caption_authors:from_authors",
        reference_call=f"{PACKAGE}.caption_authors:reference_call",
        notes="With vocab_size the whole caption decoder. The authors' code tosses one coin for a "
        "batch between a drawn and the soft context, the paper one for each image.",
    ),
    AttentionSpec(
        name="kalman_filtering",
        aliases=("kfatt",),
        target=f"{PACKAGE}.kalman_filtering:KalmanFilteringAttention",
        family="logical",
        contract="context",
        role="none",
        masked=True,
        channel_arguments=("dim",),
        variants=("base", "freq"),
        paper=Paper(
            title="Kalman Filtering Attention for User Behavior Modeling in CTR Prediction",
            authors="Hu Liu et al.",
            venue="NeurIPS",
            year=2020,
            arxiv="2010.00985",
        ),
        reference="equations",
        verified="cases",
        key_map=f"{PACKAGE}.kalman_filtering:from_reference",
        reference_call=f"{PACKAGE}.kalman_filtering:reference_call",
        notes="No code was released: the cases are the paper's closed forms. The perceptrons of "
        "the prior are not in them, and their activations are a choice made here.",
    ),
    AttentionSpec(
        name="prophet",
        aliases=("prophet_attention",),
        target=f"{PACKAGE}.prophet:ProphetAttention",
        family="logical",
        contract="context",
        role="none",
        masked=True,
        channel_arguments=("dim",),
        dead_parameters=(r"(^|\.)words\.",),  # they learn where the words are given: `foretell`
        paper=Paper(
            title="Prophet Attention: Predicting Attention with Future Attention for Image "
            "Captioning",
            authors="Fenglin Liu et al.",
            venue="NeurIPS",
            year=2020,
            arxiv="2210.10914",
        ),
        reference="equations",
        verified="equations",
        notes="No code was released. Means over spans, one BiLSTM a caption and shared scores are "
        "choices made here.",
    ),
    *SETS,
)


@hookimpl
def zoo_attentions() -> tuple[AttentionSpec, ...]:
    return ATTENTIONS

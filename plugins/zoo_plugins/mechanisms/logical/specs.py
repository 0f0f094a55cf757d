"""Logical attention: memory, sets and sequences.

What is stated of each mechanism, without torch.
"""

from dataclasses import replace

from zoo.registry.specs import AttentionSpec, Insertion, OptionNames, Provenance, Trial
from zoo_plugins import papers

PACKAGE = "zoo_plugins.mechanisms.logical"

SET_TRANSFORMER = Provenance(
    paper=papers.SET_TRANSFORMER,
    license="MIT",
    reference="authors",
    verified="cases",
    notes=(
        "The authors divide the logits by the root of the whole width, and add to the projected "
        "query."
    ),
)

ATTENTIONS = (
    AttentionSpec(
        name="s3ta",
        aliases=("sequential_top_down",),
        target=f"{PACKAGE}.s3ta:SequentialTopDownAttention",
        family="logical",
        contract="step",
        insertion=Insertion(role="none"),
        options=OptionNames(read=f"{PACKAGE}.authors:s3ta"),
        provenance=Provenance(
            paper=papers.S3TA,
            license="Apache-2.0",
            reference="independent",
            verified="cases",
            key_map=(
                (r"^query\.model\.", "query."),
                (r"^policy_core\.", "core."),
                (r"^answer_processor\.", "processor."),
            ),
            reference_call=f"{PACKAGE}.s3ta:reference_call",
            notes=(
                "The authors' code is unreleased; the core is that of their earlier agent. Its "
                "port sends queries and answers through a perceptron: "
                "core_input='answers_and_queries_mlp'."
            ),
        ),
        trial=Trial(example=f"{PACKAGE}.s3ta:example"),
    ),
    AttentionSpec(
        name="show_attend_tell_soft",
        aliases=("soft_attention",),
        target=f"{PACKAGE}.captioning:show_attend_tell",
        family="logical",
        contract="context",
        masked=True,
        insertion=Insertion(role="none"),
        options=OptionNames(
            channels=("dim",),
            aliases={"n_layers_att": "num_layers"},
            read=f"{PACKAGE}.authors:show_attend_tell",
        ),
        provenance=Provenance(
            paper=papers.SHOW_ATTEND_TELL,
            license="BSD-3-Clause",
            reference="transcribed",
            verified="cases",
            key_map=f"{PACKAGE}.caption_authors:from_authors",
            reference_call=f"{PACKAGE}.caption_authors:reference_call",
            notes=(
                "With vocab_size the whole caption decoder. The best-known port has ReLU for "
                "tanh, a gate for each channel, no tanh at the start and one layer at the end."
            ),
        ),
    ),
    AttentionSpec(
        name="show_attend_tell_hard",
        aliases=("stochastic_hard_attention",),
        target=f"{PACKAGE}.captioning:show_attend_tell",
        family="logical",
        kind="hard",
        contract="context",
        masked=True,
        insertion=Insertion(role="none"),
        options=OptionNames(
            channels=("dim",),
            defaults={"semi_sampling_p": 0.5},
            aliases={"n_layers_att": "num_layers"},
            read=f"{PACKAGE}.authors:show_attend_tell",
        ),
        provenance=Provenance(
            paper=papers.SHOW_ATTEND_TELL,
            license="BSD-3-Clause",
            reference="transcribed",
            verified="cases",
            key_map=f"{PACKAGE}.caption_authors:from_authors",
            reference_call=f"{PACKAGE}.caption_authors:reference_call",
            notes=(
                "With vocab_size the whole caption decoder. The authors' code tosses one coin "
                "for a batch between a drawn and the soft context, the paper one for each "
                "image."
            ),
        ),
    ),
    AttentionSpec(
        name="kalman_filtering",
        aliases=("kfatt",),
        target=f"{PACKAGE}.kalman_filtering:KalmanFilteringAttention",
        family="logical",
        contract="context",
        masked=True,
        insertion=Insertion(role="none"),
        options=OptionNames(channels=("dim",)),
        provenance=Provenance(
            paper=papers.KALMAN_FILTERING,
            reference="equations",
            verified="cases",
            key_map=f"{PACKAGE}.kalman_filtering:from_reference",
            reference_call=f"{PACKAGE}.kalman_filtering:reference_call",
            notes=(
                "No code was released: the cases are the paper's closed forms. The perceptrons "
                "of the prior are not in them, and their activations are a choice made here."
            ),
        ),
    ),
    AttentionSpec(
        name="prophet",
        aliases=("prophet_attention",),
        target=f"{PACKAGE}.prophet:ProphetAttention",
        family="logical",
        contract="context",
        masked=True,
        insertion=Insertion(role="none"),
        options=OptionNames(channels=("dim",)),
        provenance=Provenance(
            paper=papers.PROPHET,
            reference="equations",
            verified="equations",
            notes=(
                "No code was released. Means over spans, one BiLSTM a caption and shared scores"
                " are choices made here."
            ),
        ),
        trial=Trial(dead_parameters=(r"(^|\.)words\.",)),
    ),
    AttentionSpec(
        name="mab",
        aliases=("multihead_attention_block",),
        target=f"{PACKAGE}.set_transformer:MAB",
        family="logical",
        contract="context",
        masked=True,
        insertion=Insertion(role="none"),
        options=OptionNames(channels=("dim",)),
        provenance=SET_TRANSFORMER,
        trial=Trial(dead_parameters=(r"(^|\.)fc_k\.bias$",)),
    ),
    AttentionSpec(
        name="sab",
        aliases=("set_attention_block",),
        target=f"{PACKAGE}.set_transformer:SAB",
        family="logical",
        contract="tokens",
        masked=True,
        insertion=Insertion(role="none", quadratic=True),
        options=OptionNames(channels=("dim",)),
        provenance=SET_TRANSFORMER,
        trial=Trial(dead_parameters=(r"(^|\.)fc_k\.bias$",)),
    ),
    AttentionSpec(
        name="isab",
        aliases=("induced_set_attention_block",),
        target=f"{PACKAGE}.set_transformer:ISAB",
        family="logical",
        contract="tokens",
        masked=True,
        insertion=Insertion(role="none"),
        options=OptionNames(channels=("dim",)),
        provenance=SET_TRANSFORMER,
        trial=Trial(dead_parameters=(r"(^|\.)fc_k\.bias$",)),
    ),
    AttentionSpec(
        name="pma",
        aliases=("pooling_by_multihead_attention",),
        target=f"{PACKAGE}.set_transformer:PMA",
        family="logical",
        contract="set",
        masked=True,
        insertion=Insertion(role="none"),
        options=OptionNames(channels=("dim",)),
        provenance=replace(
            SET_TRANSFORMER,
            notes=f"{SET_TRANSFORMER.notes} The paper's row-wise layer before the pooling is not "
            "in their code.",
        ),
        trial=Trial(dead_parameters=(r"(^|\.)fc_k\.bias$",)),
    ),
)

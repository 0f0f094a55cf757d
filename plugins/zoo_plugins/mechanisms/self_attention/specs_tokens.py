"""Specs of self-attention on tokens, or from tokens to slots. No torch."""

from zoo.registry.specs import AttentionSpec, Insertion, OptionNames, Provenance, Trial
from zoo_plugins import papers

PACKAGE = "zoo_plugins.mechanisms.self_attention"

TOKENS = (
    AttentionSpec(
        name="external_multihead",
        aliases=("eamlp",),
        target=f"{PACKAGE}.external_multihead:ExternalMultiHead",
        family="self_attention",
        contract="tokens",
        insertion=Insertion(role="replace_mixer"),
        options=OptionNames(channels=("dim",), fixed={"bias": True}, ignored=("qkv_bias",)),
        provenance=Provenance(
            paper=papers.EXTERNAL,
            license="BSD-3-Clause-Clear",
            reference="authors",
            verified="cases",
            notes="qkv_bias of the authors' signature is not used in their code.",
        ),
        trial=Trial(dead_parameters=(r"(^|\.)trans_dims\.bias$", r"(^|\.)linear_0\.bias$")),
    ),
    AttentionSpec(
        name="multi_head",
        aliases=("mhsa", "multi_head_attention"),
        target=f"{PACKAGE}.multi_head:MultiHead",
        family="self_attention",
        contract="tokens",
        masked=True,
        insertion=Insertion(role="replace_mixer", identity="exact", quadratic=True),
        options=OptionNames(
            channels=("dim",),
            aliases={"kdim": "key_dim", "vdim": "value_dim"},
            ignored=("variant",),
        ),
        provenance=Provenance(
            paper=papers.MULTI_HEAD,
            license="BSD-3-Clause",
            reference="independent",
            verified="cases",
            key_map=(
                (r"(^|\.)in_proj_(weight|bias)$", r"\1qkv.\2"),
                (r"(^|\.)([qkv])_proj_weight$", r"\1qkv.\2_weight"),
                (r"(^|\.)out_proj\.", r"\1proj."),
            ),
            reference_call=f"{PACKAGE}.multi_head:reference_call",
            notes="Beside torch's layer and timm's, whose heads need not divide C.",
        ),
        trial=Trial(dead_parameters=(r"(^|\.)k_norm\.bias$",)),
    ),
    AttentionSpec(
        name="talking_heads",
        aliases=("talking_heads_attention",),
        target=f"{PACKAGE}.talking_heads:TalkingHeads",
        family="self_attention",
        contract="tokens",
        masked=True,
        insertion=Insertion(
            role="replace_mixer", identity="exact", default_form="residual", quadratic=True
        ),
        options=OptionNames(channels=("dim",)),
        provenance=Provenance(
            paper=papers.TALKING_HEADS,
            license="Apache-2.0",
            reference="independent",
            verified="cases",
            notes="CaiT's two mixing layers have biases; the paper's do not.",
        ),
        trial=Trial(dead_parameters=(r"(^|\.)proj_l\.bias$",)),
    ),
    AttentionSpec(
        name="emsa",
        aliases=("efficient_multi_head",),
        target=f"{PACKAGE}.emsa:EMSA",
        family="self_attention",
        contract="tokens",
        insertion=Insertion(role="replace_mixer", quadratic=True, needs_size=True),
        options=OptionNames(channels=("dim",), fixed={"bias": True}),
        provenance=Provenance(
            paper=papers.EMSA,
            license="MIT",
            reference="independent",
            verified="cases",
            key_map=((r"(^|\.)transform\.conv\.", r"\1transform."),),
            notes="Quadratic still, at 1 / reduction^2 of the cost.",
        ),
        trial=Trial(
            dead_parameters=(
                r"(^|\.)fc_[kv]\.bias$",
                r"(^|\.)sr_ln\.bias$",
                r"(^|\.)transform\.bias$",
            )
        ),
    ),
    AttentionSpec(
        name="clustered",
        aliases=("clustered_attention",),
        target=f"{PACKAGE}.clustered:ClusteredAttention",
        family="self_attention",
        contract="tokens",
        masked=True,
        insertion=Insertion(role="replace_mixer"),
        options=OptionNames(channels=("dim",)),
        provenance=Provenance(
            paper=papers.CLUSTERED,
            license="MIT",
            reference="authors",
            verified="cases",
            reference_call=f"{PACKAGE}.clustered:reference_call",
            notes=(
                "improved=True is the improved form, in which the authors' kernels pass no "
                "gradient through the share of the top keys. They draw hash planes in every "
                "call; here they are fixed in eval."
            ),
        ),
        trial=Trial(dead_parameters=(r"(^|\.)k_norm\.bias$",)),
    ),
    AttentionSpec(
        name="smyrf",
        aliases=("smyrf_attention",),
        target=f"{PACKAGE}.smyrf:Smyrf",
        family="self_attention",
        contract="tokens",
        masked=True,
        insertion=Insertion(role="replace_mixer"),
        options=OptionNames(channels=("dim",), fixed={"clustering": "lsh"}, ignored=("r",)),
        provenance=Provenance(
            paper=papers.SMYRF,
            license="GPL-3.0",
            reference="authors",
            verified="cases",
            reference_call=f"{PACKAGE}.smyrf:reference_call",
            notes=(
                "The authors compute a division by r and drop it; logits are unscaled by default."
            ),
        ),
        trial=Trial(dead_parameters=(r"(^|\.)k_norm\.bias$",)),
    ),
    AttentionSpec(
        name="random_feature",
        aliases=("rfa", "random_feature_attention"),
        target=f"{PACKAGE}.random_feature:RandomFeature",
        family="self_attention",
        contract="tokens",
        masked=True,
        insertion=Insertion(role="replace_mixer"),
        options=OptionNames(channels=("dim",), read=f"{PACKAGE}.random_feature:read_options"),
        provenance=Provenance(
            paper=papers.RANDOM_FEATURE,
            license="none stated in the repository",
            reference="authors",
            verified="cases",
            key_map=((r"^(attn|proj)\.", ""),),
            reference_call=f"{PACKAGE}.random_feature:reference_call",
            notes=(
                "The authors' code has a constant scale and three denominators; gated=True, of "
                "the paper, is not in it and is checked against the equations."
            ),
        ),
    ),
    AttentionSpec(
        name="slot",
        aliases=("slot_attention",),
        target=f"{PACKAGE}.slot:SlotAttention",
        family="self_attention",
        contract="set",
        masked=True,
        insertion=Insertion(role="none"),
        options=OptionNames(channels=("dim",)),
        provenance=Provenance(
            paper=papers.SLOT,
            license="Apache-2.0",
            reference="transcribed",
            verified="cases",
            key_map=(
                (r"(^|\.)norm_inputs\.", r"\1norm_input."),
                (r"(^|\.)norm_pre_ff\.", r"\1norm_mlp."),
                (r"(^|\.)project_", r"\1to_"),
                (r"(^|\.)slots_log_sigma$", r"\1slots_logsigma"),
            ),
            reference_call=f"{PACKAGE}.slot:reference_call",
            notes=("The norms' epsilon is Keras' 1e-3; the port has 1e-5 and biases in q, k, v."),
        ),
        trial=Trial(dead_parameters=(r"(^|\.)to_q\.bias$", r"(^|\.)norm_slots\.bias$")),
    ),
)

"""Self-attention: positions attend to positions.

What is stated of each mechanism, without torch.
"""

from zoo.registry.specs import AttentionSpec, Insertion, OptionNames, Provenance, Trial
from zoo_plugins import papers

PACKAGE = "zoo_plugins.mechanisms.self_attention"

ATTENTIONS = (
    AttentionSpec(
        name="non_local",
        aliases=("nl", "non_local_block"),
        target=f"{PACKAGE}.non_local:NonLocal",
        family="self_attention",
        insertion=Insertion(identity="exact", quadratic=True),
        provenance=Provenance(
            paper=papers.NON_LOCAL,
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
            reference_call=f"{PACKAGE}.non_local:reference_call",
            notes=(
                "The authors' code scales the logits and pools the keys by default; the paper's"
                " equations do neither."
            ),
        ),
        trial=Trial(dead_parameters=(r"(^|\.)p\.bias$", r"(^|\.)g\.bias$", r"(^|\.)z\.bias$")),
    ),
    AttentionSpec(
        name="axial",
        aliases=("axial_attention", "axial_deeplab"),
        target=f"{PACKAGE}.axial:axial",
        family="self_attention",
        insertion=Insertion(needs_size=True),
        provenance=Provenance(
            paper=papers.AXIAL,
            license="Apache-2.0",
            reference="authors",
            verified="cases",
            key_map=((r"^(.*\.)?flatten_index$", ""),),
            notes=(
                "The authors' PyTorch code batch-norms the three terms of the logits and the "
                "two of the output before summing them."
            ),
        ),
        trial=Trial(
            dead_parameters=(r"(^|\.)bn_similarity\.bias$", r"(^|\.)hight_block\.bn_output\.bias$")
        ),
    ),
    AttentionSpec(
        name="efficient",
        aliases=("efficient_attention",),
        target=f"{PACKAGE}.efficient:EfficientAttention",
        family="self_attention",
        insertion=Insertion(identity="exact"),
        provenance=Provenance(
            paper=papers.EFFICIENT,
            license="MIT",
            reference="authors",
            verified="cases",
            notes=(
                "The authors' code has the softmax normalisation only, and always adds the input."
            ),
        ),
        trial=Trial(dead_parameters=(r"(^|\.)keys\.bias$",)),
    ),
    AttentionSpec(
        name="external",
        aliases=("external_attention", "eanet"),
        target=f"{PACKAGE}.external:ExternalAttention",
        family="self_attention",
        provenance=Provenance(
            paper=papers.EXTERNAL,
            reference="authors",
            verified="cases",
            notes=(
                "The authors' block adds the input and ends in a ReLU; the paper's equations do"
                " not."
            ),
        ),
        trial=Trial(dead_parameters=(r"(^|\.)conv1\.bias$",)),
    ),
    AttentionSpec(
        name="external_multihead",
        aliases=("eamlp",),
        target=f"{PACKAGE}.external_multihead:ExternalMultiHead",
        family="self_attention",
        contract="tokens",
        insertion=Insertion(role="replace_mixer"),
        options=OptionNames(channels=("dim",)),
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
        name="criss_cross",
        aliases=("ccnet", "cca"),
        target=f"{PACKAGE}.criss_cross:CrissCross",
        family="self_attention",
        insertion=Insertion(identity="exact"),
        provenance=Provenance(
            paper=papers.CRISS_CROSS,
            license="MIT",
            reference="authors",
            verified="cases",
            notes="One pass by default in the authors' class; two in the paper and here.",
        ),
        trial=Trial(dead_parameters=(r"(^|\.)key_conv\.bias$",)),
    ),
    AttentionSpec(
        name="ema_unit",
        aliases=("emau", "emanet"),
        target=f"{PACKAGE}.ema_unit:EMAUnit",
        family="self_attention",
        provenance=Provenance(
            paper=papers.EMA_UNIT,
            license="GPL-3.0",
            reference="authors",
            verified="cases",
            reference_call=f"{PACKAGE}.ema_unit:reference_call",
            notes=(
                "No gradient passes through the iterations in the authors' code, so its first "
                "convolution is never trained."
            ),
        ),
        trial=Trial(dead_parameters=(r"(^|\.)conv1\.(weight|bias)$",)),
    ),
    AttentionSpec(
        name="stand_alone",
        aliases=("sasa", "stand_alone_self_attention"),
        target=f"{PACKAGE}.stand_alone:StandAlone",
        family="self_attention",
        contract="map_channels",
        insertion=Insertion(role="replace_conv", keeps_norm=True),
        provenance=Provenance(
            paper=papers.STAND_ALONE,
            license="MIT",
            reference="equations",
            verified="cases",
            key_map=f"{PACKAGE}.stand_alone:from_authors",
            reference_call=f"{PACKAGE}.stand_alone:reference_call",
            notes=(
                "The authors published no code. The two ports sum the products of query and key"
                " over all heads (merhs), or not at all (leaderj1001); the default follows "
                "equation 3."
            ),
        ),
        trial=Trial(dead_parameters=(r"(^|\.)key\.bias$",)),
    ),
    AttentionSpec(
        name="halo",
        aliases=("halo_attention", "halonet"),
        target=f"{PACKAGE}.halo:Halo",
        family="self_attention",
        contract="map_channels",
        insertion=Insertion(role="replace_conv", keeps_norm=True),
        provenance=Provenance(
            paper=papers.HALO,
            license="Apache-2.0",
            reference="independent",
            verified="cases",
            notes=(
                "No code of the authors is public; timm's meets positions with unscaled queries."
            ),
        ),
    ),
    AttentionSpec(
        name="bottleneck",
        aliases=("bottleneck_attention", "bot", "botnet"),
        target=f"{PACKAGE}.bottleneck:Bottleneck",
        family="self_attention",
        contract="map_channels",
        insertion=Insertion(
            role="replace_conv",
            default_sites="last_stage",
            quadratic=True,
            needs_size=True,
            keeps_norm=True,
        ),
        provenance=Provenance(
            paper=papers.BOTTLENECK,
            license="Apache-2.0",
            reference="independent",
            verified="cases",
            notes=(
                "timm meets positions with unscaled queries, the authors' gist with scaled ones."
            ),
        ),
    ),
    AttentionSpec(
        name="lambda_layer",
        aliases=("lambda", "lambda_networks"),
        target=f"{PACKAGE}.lambda_layer:LambdaLayer",
        family="self_attention",
        contract="map_channels",
        insertion=Insertion(role="replace_conv", keeps_norm=True),
        provenance=Provenance(
            paper=papers.LAMBDA_LAYER,
            license="Apache-2.0",
            reference="independent",
            verified="cases",
            notes=(
                "The author published pseudo-code; timm's default window is 9 x 9, the paper's 23."
            ),
        ),
    ),
    AttentionSpec(
        name="bat",
        aliases=("bilinear_attention",),
        target=f"{PACKAGE}.bat:BilinearAttention",
        family="self_attention",
        provenance=Provenance(
            paper=papers.BAT,
            license="Apache-2.0",
            reference="transcribed",
            verified="cases",
            notes=(
                "Maps that are no multiple of block_size are padded; timm and the authors refuse."
            ),
        ),
    ),
    AttentionSpec(
        name="outlook",
        aliases=("outlook_attention", "volo"),
        target=f"{PACKAGE}.outlook:Outlook",
        family="self_attention",
        options=OptionNames(channels=("dim",)),
        provenance=Provenance(
            paper=papers.OUTLOOK,
            license="Apache-2.0",
            reference="transcribed",
            verified="cases",
            reference_call=f"{PACKAGE}.outlook:reference_call",
            notes="qkv_bias is of the values only.",
        ),
    ),
    AttentionSpec(
        name="window",
        aliases=("window_attention", "w_msa"),
        target=f"{PACKAGE}.window:WindowedAttention",
        family="self_attention",
        options=OptionNames(channels=("dim",)),
        provenance=Provenance(
            paper=papers.WINDOW,
            license="Apache-2.0",
            reference="transcribed",
            verified="cases",
            reference_call=f"{PACKAGE}.window:reference_call",
            notes=("Maps are cut into windows; a reference case records the layer on windows."),
        ),
    ),
    AttentionSpec(
        name="non_local_sparse",
        aliases=("nlsa", "nlsn"),
        target=f"{PACKAGE}.non_local_sparse:NonLocalSparse",
        family="self_attention",
        insertion=Insertion(identity="exact"),
        provenance=Provenance(
            paper=papers.NON_LOCAL_SPARSE,
            reference="authors",
            verified="cases",
            key_map=((r"(^|\.)(conv_match|conv_assembly)\.0\.", r"\1\2."),),
            notes=(
                "The authors draw new hash rotations in every call, and sort unstably; here the"
                " sort is stable and the rotations are fixed in eval."
            ),
        ),
    ),
    AttentionSpec(
        name="multi_head",
        aliases=("mhsa", "multi_head_attention"),
        target=f"{PACKAGE}.multi_head:MultiHead",
        family="self_attention",
        contract="tokens",
        masked=True,
        insertion=Insertion(role="replace_mixer", identity="exact", quadratic=True),
        options=OptionNames(channels=("dim",)),
        provenance=Provenance(
            paper=papers.MULTI_HEAD,
            license="BSD-3-Clause",
            reference="independent",
            verified="cases",
            key_map=(
                (r"(^|\.)in_proj_(weight|bias)$", r"\1qkv.\2"),
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
        insertion=Insertion(role="replace_mixer", identity="exact", quadratic=True),
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
        options=OptionNames(channels=("dim",)),
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
        options=OptionNames(channels=("dim",)),
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
        options=OptionNames(channels=("dim",)),
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

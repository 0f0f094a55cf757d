"""Spatial attention: where to attend. What is stated of each mechanism, without torch."""

from zoo.registry.specs import AttentionSpec, Insertion, OptionNames, Provenance, Trial, Width
from zoo_plugins import papers

PACKAGE = "zoo_plugins.mechanisms.spatial"

ATTENTIONS = (
    AttentionSpec(
        name="dual_attention_position",
        aliases=("danet_position", "pam"),
        target=f"{PACKAGE}.dual_attention_position:DualAttentionPosition",
        family="spatial",
        insertion=Insertion(identity="exact", quadratic=True),
        options=OptionNames(width=Width(option="query_channels"), ignored=("act_layer",)),
        provenance=Provenance(
            paper=papers.DANET,
            license="MIT",
            reference="authors",
            verified="cases",
            key_map=((r"(^|\.)(query|key|value)_conv\.", r"\1\2."),),
            notes="Computes what the paper says; the logits are not scaled.",
        ),
        trial=Trial(dead_parameters=(r"(^|\.)key\.bias$",)),
    ),
    AttentionSpec(
        name="sge",
        aliases=("spatial_group_enhance",),
        target=f"{PACKAGE}.sge:SpatialGroupEnhance",
        family="spatial",
        insertion=Insertion(identity="exact"),
        options=OptionNames(ignored=("act_layer",)),
        provenance=Provenance(
            paper=papers.SGE,
            license="none stated in the repository",
            reference="authors",
            verified="cases",
            notes=(
                "64 groups in the authors' networks; here the greatest number that divides both."
            ),
        ),
    ),
    AttentionSpec(
        name="picanet_global",
        target=f"{PACKAGE}.picanet_global:PicanetGlobal",
        family="spatial",
        insertion=Insertion(placement="stage", needs_size=True),
        options=OptionNames(aliases={"input_size": "feat_size"}, ignored=("act_layer",)),
        provenance=Provenance(
            paper=papers.PICANET,
            license="BSD-2-Clause (Caffe); none stated for the additions",
            reference="transcribed",
            verified="cases",
            key_map=f"{PACKAGE}.picanet_global:carry_keys",
            reference_call=f"{PACKAGE}.picanet_global:reference_call",
            notes=("A batch norm stands before the softmax; columns are scanned before rows."),
        ),
        trial=Trial(dead_parameters=(r"(^|\.)weigh\.bias$",)),
    ),
    AttentionSpec(
        name="picanet_local",
        target=f"{PACKAGE}.picanet_local:PicanetLocal",
        family="spatial",
        insertion=Insertion(placement="stage"),
        options=OptionNames(ignored=("act_layer",), read=f"{PACKAGE}.picanet_local:read_padding"),
        provenance=Provenance(
            paper=papers.PICANET,
            license="BSD-2-Clause (Caffe); none stated for the additions",
            reference="transcribed",
            verified="cases",
            key_map=(
                (r"(^|\.)pool_att_1\.", r"\1conv."),
                (r"(^|\.)pool_att_raw\.", r"\1weigh."),
                (r"(^|\.)pool_att_bn\.", r"\1bn."),
            ),
            reference_call=f"{PACKAGE}.picanet_local:reference_call",
            notes=(
                "A batch norm stands before the softmax; neighbours outside the map take part "
                "in it."
            ),
        ),
        trial=Trial(dead_parameters=(r"(^|\.)weigh\.bias$",)),
    ),
    AttentionSpec(
        name="span",
        aliases=("spatial_pyramid",),
        target=f"{PACKAGE}.span:SpatialPyramidAttention",
        family="spatial",
        insertion=Insertion(placement="between_stages"),
        options=OptionNames(fixed={"batch_norm": False}, ignored=("act_layer",)),
        provenance=Provenance(
            paper=papers.SPAN,
            license="none stated; CC-BY-4.0 (the port with position projections)",
            reference="independent",
            verified="cases",
            key_map=f"{PACKAGE}.span:carry_keys",
            reference_call=f"{PACKAGE}.span:reference_call",
            notes=(
                "From a Keras layer and a port whose reshape is mended; the logits are divided "
                "by 8 whatever D is, and offsets outside the map take attention."
            ),
        ),
        trial=Trial(dead_parameters=(r"(^|\.)blocks\.[34]\.(query|key)\.weight$",)),
    ),
    AttentionSpec(
        name="spatial_spectral",
        aliases=("tsa", "tsa_net"),
        target=f"{PACKAGE}.spatial_spectral:SpatialSpectral",
        family="spatial",
        insertion=Insertion(placement="between_stages", needs_size=True),
        options=OptionNames(
            channels=("in_channels", "out_channels"),
            aliases={"input_size": "feat_size"},
            ignored=("act_layer",),
        ),
        provenance=Provenance(
            paper=papers.SPATIAL_SPECTRAL,
            license="none stated in the repository",
            reference="authors",
            verified="cases",
            key_map=((r"^(.*\.)?(uSpatial|uSpectral|attn_scale|mask)$", ""),),
            reference_call=f"{PACKAGE}.spatial_spectral:reference_call",
            notes=(
                "The authors' PyTorch code, by their account simpler than the paper's (TensorFlow)."
            ),
        ),
        trial=Trial(dead_parameters=(r"(^|\.)(conv[12]|down_sample\.\d+)\.0\.bias$",)),
    ),
    AttentionSpec(
        name="multi_context",
        aliases=("multi_context_attention",),
        shared_names=("mca",),
        target=f"{PACKAGE}.multi_context:MultiContext",
        family="spatial",
        insertion=Insertion(identity="exact", default_form="residual"),
        options=OptionNames(ignored=("act_layer",)),
        provenance=Provenance(
            paper=papers.MULTI_CONTEXT,
            license="BSD-3-Clause",
            reference="transcribed",
            verified="cases",
            key_map=f"{PACKAGE}.multi_context:carry_keys",
            reference_call=f"{PACKAGE}.multi_context:reference_call",
            notes=("forward gives the holistic attention; attend gives the parts' scores too."),
        ),
    ),
    AttentionSpec(
        name="pyramid_feature",
        aliases=("pfa", "pyramid_feature_attention"),
        target=f"{PACKAGE}.pyramid_feature:PyramidFeature",
        family="spatial",
        contract="map_pair",
        insertion=Insertion(role="none"),
        provenance=Provenance(
            paper=papers.PYRAMID_FEATURE,
            license="none stated in the authors' repository; MIT (the port)",
            reference="transcribed",
            verified="cases",
            key_map=f"{PACKAGE}.pyramid_feature:carry_keys",
            reference_call=f"{PACKAGE}.pyramid_feature:reference_call",
            notes=(
                "The authors normalise by the batch at test time too: bn_batch_statistics=True."
            ),
        ),
        trial=Trial(
            example=f"{PACKAGE}.pyramid_feature:example",
            dead_parameters=(r"(^|\.)(high|low\d?|spatial\.\d)\.[03]\.bias$",),
        ),
    ),
    AttentionSpec(
        name="spatial_attention_pyramid",
        aliases=("sapnet",),
        target=f"{PACKAGE}.spatial_attention_pyramid:SpatialAttentionPyramid",
        family="spatial",
        contract="map_pair",
        insertion=Insertion(role="none"),
        provenance=Provenance(
            paper=papers.SPATIAL_ATTENTION_PYRAMID,
            license="none stated in the repository",
            reference="authors",
            verified="cases",
            key_map=f"{PACKAGE}.spatial_attention_pyramid:carry_keys",
            reference_call=f"{PACKAGE}.spatial_attention_pyramid:reference_call",
            notes="The levels are weighed per channel by a softmax, not joined.",
        ),
        trial=Trial(example=f"{PACKAGE}.spatial_attention_pyramid:example"),
    ),
    AttentionSpec(
        name="region",
        aliases=("ranet", "region_attention"),
        target=f"{PACKAGE}.region:Region",
        family="spatial",
        contract="map_pair",
        insertion=Insertion(role="none", quadratic=True),
        options=OptionNames(
            channels=("in_channels", "channels"),
            ignored=("num_classes",),
            read=f"{PACKAGE}.region:read_activation",
        ),
        provenance=Provenance(
            paper=papers.REGION,
            license="none stated in the repository",
            reference="authors",
            verified="cases",
            key_map=f"{PACKAGE}.region:carry_keys",
            reference_call=f"{PACKAGE}.region:reference_call",
            notes=(
                "Its ReLUs are leaky, by their library's default; lines within the last row or "
                "column meet no boundary, by its kernel."
            ),
        ),
        trial=Trial(example=f"{PACKAGE}.region:example"),
    ),
)

"""Arithmetic attention: existing maps combined by arithmetic.

What is stated of each mechanism, without torch.
"""

from zoo.registry.specs import AttentionSpec, Insertion, OptionNames, Provenance, Trial, Width
from zoo_plugins import papers

PACKAGE = "zoo_plugins.mechanisms.arithmetic"

ATTENTIONS = (
    AttentionSpec(
        name="adl",
        aliases=("attention_dropout",),
        target=f"{PACKAGE}.adl:AttentionDropout",
        family="arithmetic",
        contract="regulariser",
        insertion=Insertion(placement="stage", identity="exact", default_form="residual"),
        options=OptionNames(
            channels=(),
            aliases={"drop_threshold": "gamma"},
            ignored=("act_layer", "device", "dtype"),
            read=f"{PACKAGE}.adl:read_keep_prob",
        ),
        provenance=Provenance(
            paper=papers.ADL,
            license="MIT",
            reference="transcribed",
            verified="cases",
            reference_call=f"{PACKAGE}.adl:reference_call",
            notes="One draw for the whole batch; meant for maps after a ReLU.",
        ),
    ),
    AttentionSpec(
        name="reverse_segmentation",
        aliases=("reverse_attention",),
        target=f"{PACKAGE}.reverse_segmentation:ReverseSegmentation",
        family="arithmetic",
        contract="map_pair",
        insertion=Insertion(role="none"),
        options=OptionNames(channels=(), ignored=("num_classes", "device", "dtype")),
        provenance=Provenance(
            paper=papers.REVERSE_SEGMENTATION,
            license="n/a",
            reference="equations",
            verified="cases",
            reference_call=f"{PACKAGE}.reverse_segmentation:reference_call",
            notes=(
                "The mask and its product; fusing it with the direct scores is left to the network."
            ),
        ),
    ),
    AttentionSpec(
        name="reverse_saliency",
        aliases=("ras",),
        target=f"{PACKAGE}.reverse_saliency:ReverseSaliency",
        family="arithmetic",
        contract="map_pair",
        insertion=Insertion(role="none"),
        provenance=Provenance(
            paper=papers.REVERSE_SALIENCY,
            license="none stated in the repository",
            reference="transcribed",
            verified="cases",
            key_map=(
                (r"(^|\.)conv1\.", r"\1convert."),
                (r"(^|\.)conv2\.", r"\1convs.0."),
                (r"(^|\.)conv3\.", r"\1convs.2."),
                (r"(^|\.)conv4\.", r"\1convs.4."),
            ),
            reference_call=f"{PACKAGE}.reverse_saliency:reference_call",
            notes=(
                "The journal version has the attention after the 1x1 convolution: "
                "variant='tip2020'."
            ),
        ),
        trial=Trial(example=f"{PACKAGE}.reverse_saliency:example"),
    ),
    AttentionSpec(
        name="mirror",
        aliases=("mirror_attention",),
        target=f"{PACKAGE}.mirror:Mirror",
        family="arithmetic",
        contract="map_pair",
        insertion=Insertion(role="none"),
        provenance=Provenance(
            paper=papers.MIRROR,
            license="MIT",
            reference="authors",
            verified="cases",
            reference_call=f"{PACKAGE}.mirror:reference_call",
            notes="The reflection is that of the normalised square: skewed on other maps.",
        ),
        trial=Trial(example=f"{PACKAGE}.mirror:example"),
    ),
    AttentionSpec(
        name="inverse",
        aliases=("iga", "inverse_gradient"),
        target=f"{PACKAGE}.inverse:Inverse",
        family="arithmetic",
        contract="map_pair",
        insertion=Insertion(role="none"),
        options=OptionNames(ignored=("height", "width")),
        provenance=Provenance(
            paper=papers.INVERSE,
            license="MIT",
            reference="authors",
            verified="cases",
            key_map=f"{PACKAGE}.inverse:carry_keys",
            notes=(
                "The mask depends on the size of the batch; the authors leave it out at test time."
            ),
        ),
        trial=Trial(
            example=f"{PACKAGE}.inverse:example",
            dead_parameters=(r"(^|\.)(features|join|decoder)\.(\d*[0369])\.bias$",),
        ),
    ),
    AttentionSpec(
        name="reciprocal",
        aliases=("reciprocal_attention",),
        target=f"{PACKAGE}.reciprocal:Reciprocal",
        family="arithmetic",
        insertion=Insertion(identity="exact", default_form="residual", quadratic=True),
        options=OptionNames(width=Width(), ignored=("act_layer",)),
        provenance=Provenance(
            paper=papers.RECIPROCAL,
            license="n/a",
            reference="equations",
            verified="equations",
            notes=(
                "The survey only names it, and of the paper the abstract could be read: see there."
            ),
        ),
    ),
)

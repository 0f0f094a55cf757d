"""Class-based attention: maps that explain a class.

What is stated of each mechanism, without torch.
"""

from zoo.registry.specs import AttentionSpec, Insertion, OptionNames, Provenance, Trial
from zoo_plugins import papers

PACKAGE = "zoo_plugins.mechanisms.class_based"

ATTENTIONS = (
    AttentionSpec(
        name="gain",
        aliases=("guided_attention_inference",),
        target=f"{PACKAGE}.gain:Gain",
        family="class_based",
        contract="head",
        insertion=Insertion(role="none"),
        options=OptionNames(channels=("in_channels",), aliases={"channels": "widths"}),
        provenance=Provenance(
            paper=papers.GAIN,
            license="none stated in the port",
            reference="equations",
            verified="cases",
            reference_call=f"{PACKAGE}.gain:reference_call",
            notes=(
                "No code of the authors. The unofficial port multiplies the gradient by the "
                "score, which turns the map of a negative score around; here it is the plain "
                "gradient."
            ),
        ),
    ),
    AttentionSpec(
        name="supervised_attention",
        aliases=("san",),
        target=f"{PACKAGE}.supervised_attention:supervised_attention",
        family="class_based",
        contract="head",
        insertion=Insertion(role="none"),
        provenance=Provenance(
            paper=papers.SUPERVISED_ATTENTION,
            license="none stated in the repository",
            reference="transcribed",
            verified="equations",
            reference_call=f"{PACKAGE}.supervised_attention:reference_call",
            notes=(
                "The cases are of the loss only (part='loss'), from a repository whose "
                "authorship is not proved; the head is the attention branch that its trainer "
                "calls."
            ),
        ),
        trial=Trial(
            dead_parameters=(r"(^|\.)branch\.bn_att\.bias$", r"(^|\.)branch\.att_conv2\.weight$")
        ),
    ),
    AttentionSpec(
        name="two_level",
        aliases=("part_attention",),
        target=f"{PACKAGE}.two_level:PartAttention",
        family="class_based",
        kind="hard",
        contract="set",
        masked=True,
        insertion=Insertion(role="none"),
        options=OptionNames(channels=("num_filters",)),
        provenance=Provenance(
            paper=papers.TWO_LEVEL,
            license="none stated in the repository",
            reference="transcribed",
            verified="equations",
            reference_call=f"{PACKAGE}.two_level:reference_call",
            notes=(
                "The cases are of the part detectors only, from the same lab's next system; the"
                " object level and the fusion are in two_level_pipeline."
            ),
        ),
    ),
    AttentionSpec(
        name="xslot",
        aliases=("scouter", "explainable_slot"),
        target=f"{PACKAGE}.xslot:XSlot",
        family="class_based",
        contract="head",
        insertion=Insertion(role="none"),
        options=OptionNames(read=f"{PACKAGE}.authors:xslot"),
        provenance=Provenance(
            paper=papers.XSLOT,
            license="none stated in the repository",
            reference="authors",
            verified="cases",
            key_map=f"{PACKAGE}.xslot:from_authors",
            reference_call=f"{PACKAGE}.xslot:reference_call",
            notes=(
                "The slots are their own queries: the authors' projection of them is never "
                "used. A row of logits is divided by its sum, which may be near zero."
            ),
        ),
    ),
    AttentionSpec(
        name="acf",
        aliases=("acfnet", "attentional_class_feature"),
        target=f"{PACKAGE}.acf:AttentionalClassFeature",
        family="class_based",
        contract="map_pair",
        insertion=Insertion(role="none"),
        options=OptionNames(channels=("in_channels", "channels"), read=f"{PACKAGE}.authors:acf"),
        provenance=Provenance(
            paper=papers.ACF,
            license="none stated (the unofficial port)",
            reference="independent",
            verified="equations",
            key_map=((r"(^|\.)conv1\.0\.", r"\1conv1."), (r"(^|\.)conv1\.1\.", r"\1norm.")),
            notes=(
                "Class centers are means weighted by probabilities; variant='port', the default"
                " where bias is given, has the softmax of the unofficial codes, and reproduces "
                "their case."
            ),
        ),
        trial=Trial(example=f"{PACKAGE}.acf:example"),
    ),
)

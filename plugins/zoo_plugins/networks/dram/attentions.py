"""dram What is stated of each mechanism, without torch."""

from zoo.registry.specs import AttentionSpec, Insertion, OptionNames, Provenance, Trial
from zoo_plugins import papers

PACKAGE = "zoo_plugins.networks.dram"

ATTENTIONS = (
    AttentionSpec(
        name="dram_core",
        aliases=("deep_recurrent_attention",),
        target=f"{PACKAGE}.dram:DeepRecurrentAttention",
        family="hard",
        kind="hard",
        contract="rollout",
        insertion=Insertion(role="none"),
        options=OptionNames(channels=("in_chans",), read=f"{PACKAGE}.authors:read_core"),
        provenance=Provenance(
            paper=papers.DRAM,
            license="MIT",
            reference="independent",
            verified="cases",
            key_map=f"{PACKAGE}.authors:from_authors",
            reference_call=f"{PACKAGE}.authors:authors_core",
            notes=(
                "The authors released no code. The reference is a port that does not train: it "
                "has no ReLU between convolutions, feeds the context network the whole image, "
                "and detaches the mean of the location policy, so that its emission network has"
                " no gradient (detach_mean=True); ours has one. The port's names (height=, "
                "width=) ask for its wiring."
            ),
        ),
        trial=Trial(example=f"{PACKAGE}.authors:example", dead_parameters=(r"(^|\.)baseline\.",)),
    ),
)

"""ram What is stated of each mechanism, without torch."""

from zoo.registry.specs import AttentionSpec, Insertion, OptionNames, Provenance, Trial
from zoo_plugins import papers

PACKAGE = "zoo_plugins.networks.ram"

ATTENTIONS = (
    AttentionSpec(
        name="ram_core",
        aliases=("recurrent_attention",),
        target=f"{PACKAGE}.ram:RecurrentAttention",
        family="hard",
        kind="hard",
        contract="rollout",
        insertion=Insertion(role="none"),
        options=OptionNames(
            channels=("in_chans",),
            aliases={
                "channels": "in_chans",
                "glimpse_scale": "scale",
                "loc_hidden": "location_hidden",
            },
            ignored=("img_size", "image_size"),
        ),
        provenance=Provenance(
            paper=papers.RAM,
            license="MIT",
            reference="independent",
            verified="cases",
            key_map=f"{PACKAGE}.authors:from_authors",
            reference_call=f"{PACKAGE}.authors:authors_rollout",
            notes=(
                "The reference's location network has a hidden layer that the paper's has not "
                "(locator_hidden=0), and clamps samples to the image, of which the paper says "
                "nothing."
            ),
        ),
        trial=Trial(example=f"{PACKAGE}.ram:example", dead_parameters=(r"(^|\.)baseline\.",)),
    ),
)

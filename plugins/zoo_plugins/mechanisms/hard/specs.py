"""Hard attention: glimpses of an image. What is stated of each mechanism, without torch."""

from zoo.registry.specs import AttentionSpec, Insertion, OptionNames, Provenance, Trial
from zoo_plugins import papers

PACKAGE = "zoo_plugins.mechanisms.hard"

ATTENTIONS = (
    AttentionSpec(
        name="glimpse_sensor",
        target=f"{PACKAGE}.glimpse:GlimpseSensor",
        family="hard",
        kind="hard",
        contract="context",
        insertion=Insertion(role="none"),
        options=OptionNames(
            fixed={"padding": "zeros", "resize": "avg_pool"},
            read=f"{PACKAGE}.authors:glimpse_sensor",
        ),
        provenance=Provenance(
            paper=papers.RAM,
            license="MIT",
            reference="independent",
            verified="cases",
            key_map=(
                (r"(^|\.)fc1\.", r"\1what_hidden."),
                (r"(^|\.)fc2\.", r"\1where_hidden."),
                (r"(^|\.)fc3\.", r"\1what."),
                (r"(^|\.)fc4\.", r"\1where."),
            ),
            reference_call=f"{PACKAGE}.glimpse:retina_and_glimpse",
            notes=(
                "The authors released no code; the reference scales x by the height, here by "
                "the width. How wide patches are resized is not stated; they are "
                "average-pooled."
            ),
        ),
        trial=Trial(example=f"{PACKAGE}.glimpse:example"),
    ),
)

"""Trunks that attention is built on. What is stated of each mechanism, without torch."""

from zoo.registry.specs import AttentionSpec, Insertion, Provenance, Trial
from zoo_plugins import papers

PACKAGE = "zoo_plugins.mechanisms.trunk"

ATTENTIONS = (
    AttentionSpec(
        name="hourglass",
        target=f"{PACKAGE}.hourglass:Hourglass",
        insertion=Insertion(role="none"),
        provenance=Provenance(
            paper=papers.HOURGLASS,
            license="BSD-3-Clause",
            reference="authors",
            verified="cases",
            key_map=f"{PACKAGE}.hourglass:from_authors",
            notes=(
                "A trunk without attention. The authors' residuals own projections they never use."
            ),
        ),
        trial=Trial(dead_parameters=(r"(^|\.)conv[12]\.bias$",)),
    ),
)

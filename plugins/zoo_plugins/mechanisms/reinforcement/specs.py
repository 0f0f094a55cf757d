"""Attention that is learned by reinforcement. What is stated of each mechanism, without torch."""

from zoo.registry.specs import AttentionSpec, Insertion, OptionNames, Provenance, Trial, Width
from zoo_plugins import papers

PACKAGE = "zoo_plugins.mechanisms.reinforcement"

ATTENTIONS = (
    AttentionSpec(
        name="resan",
        aliases=("reinforced_self_attention",),
        target=f"{PACKAGE}.resan:ReinforcedSelfAttention",
        family="reinforcement",
        kind="hard",
        contract="set",
        masked=True,
        insertion=Insertion(role="none", quadratic=True),
        options=OptionNames(channels=("dim",)),
        provenance=Provenance(
            paper=papers.RESAN,
            license="Apache-2.0",
            reference="transcribed",
            verified="cases",
            key_map=(("^rss_(dep|head)_", r"\1."), ("^(fw|bw)_", r"\1."), ("^s2t_map", "s2t")),
            reference_call=f"{PACKAGE}.resan:reference_call",
            notes=("In eval the likelier choice is taken; the authors draw at test time too."),
        ),
        trial=Trial(dead_parameters=(r"(^|\.)(dep|head)\.h\d\.", r"(^|\.)s2t2\.bias$")),
    ),
    AttentionSpec(
        name="reinforced_temporal",
        aliases=("reinforced_temporal_attention",),
        target=f"{PACKAGE}.reinforced_temporal:ReinforcedTemporal",
        family="reinforcement",
        kind="hard",
        contract="set",
        masked=True,
        insertion=Insertion(role="none"),
        options=OptionNames(channels=("dim",)),
        provenance=Provenance(
            paper=papers.REINFORCED_TEMPORAL,
            license="n/a",
            reference="equations",
            verified="equations",
            reference_call=f"{PACKAGE}.reinforced_temporal:reference_call",
            notes=(
                "Built from the paper's description; the cases were recorded from that, not "
                "from code. The frames' predictions come from outside."
            ),
        ),
        trial=Trial(dead_parameters=(r"(^|\.)rta\.",)),
    ),
    AttentionSpec(
        name="self_critic",
        aliases=("self_critical_attention",),
        target=f"{PACKAGE}.self_critic:SelfCritic",
        family="reinforcement",
        insertion=Insertion(
            identity="exact", default_form="residual", needs_size=True, quadratic=True
        ),
        options=OptionNames(width=Width(minimum=1), ignored=("act_layer",)),
        provenance=Provenance(
            paper=papers.SELF_CRITIC,
            license="n/a",
            reference="equations",
            verified="equations",
            notes=(
                "The paper's equations; the critic's layers are our choice. The agent's and the"
                " critic's losses come from its method losses()."
            ),
        ),
        trial=Trial(dead_parameters=(r"(^|\.)critic\.",)),
    ),
    AttentionSpec(
        name="dasnet",
        target=f"{PACKAGE}.dasnet:DasNet",
        family="reinforcement",
        insertion=Insertion(identity="exact", default_form="residual"),
        options=OptionNames(read=f"{PACKAGE}.authors:dasnet"),
        provenance=Provenance(
            paper=papers.DASNET,
            license="BSD-3-Clause",
            reference="authors",
            verified="cases",
            reference_call=f"{PACKAGE}.dasnet:reference_call",
            notes=(
                "The cases check one step of the search (SNES, in its author's code), not the "
                "feedback, which is from the paper's equations. As a layer it gates one map by "
                "itself."
            ),
        ),
    ),
)

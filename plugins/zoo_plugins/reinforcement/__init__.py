"""Attention trained by reinforcement, and its critics."""

from zoo_plugins.reinforcement import _dasnet

from zoo.hookspecs import hookimpl
from zoo.specs import AttentionSpec, ModelSpec, Paper

ATTENTIONS: tuple[AttentionSpec, ...] = (
    AttentionSpec(
        name="resan",
        aliases=("reinforced_self_attention",),
        target="zoo_plugins.reinforcement.resan:ReinforcedSelfAttention",
        family="reinforcement",
        kind="hard",
        contract="set",
        role="none",
        quadratic=True,
        channel_arguments=("dim",),
        masked=True,
        dead_parameters=(  # the samplers learn by REINFORCE; the softmax takes the bias out again
            r"(^|\.)(dep|head)\.h\d\.",
            r"(^|\.)s2t2\.bias$",
        ),
        paper=Paper(
            title="Reinforced Self-Attention Network: a Hybrid of Hard and Soft Attention for "
            "Sequence Modeling",
            authors="Tao Shen et al.",
            venue="IJCAI",
            year=2018,
            arxiv="1801.10296",
        ),
        license="Apache-2.0",
        reference="transcribed",
        verified="cases",
        key_map=(
            (r"^rss_(dep|head)_", r"\1."),
            (r"^(fw|bw)_", r"\1."),
            (r"^s2t_map", "s2t"),
        ),
        reference_call="zoo_plugins.reinforcement.resan:reference_call",
        notes="In eval the likelier choice is taken; the authors draw at test time too.",
    ),
    AttentionSpec(
        name="reinforced_temporal",
        aliases=("reinforced_temporal_attention",),
        target="zoo_plugins.reinforcement.reinforced_temporal:ReinforcedTemporal",
        family="reinforcement",
        kind="hard",
        contract="set",
        role="none",
        channel_arguments=("dim",),
        masked=True,
        dead_parameters=(r"(^|\.)rta\.",),  # learns by REINFORCE
        paper=Paper(
            title="Reinforced Temporal Attention and Split-Rate Transfer for Depth-Based Person "
            "Re-Identification",
            authors="Nikolaos Karianakis, Zicheng Liu, Yinpeng Chen, Stefano Soatto",
            venue="ECCV",
            year=2018,
            arxiv="1705.09882",
        ),
        license="n/a",
        reference="equations",
        verified="equations",
        reference_call="zoo_plugins.reinforcement.reinforced_temporal:reference_call",
        notes=(
            "Built from the paper's description; the cases were recorded from that, not from code. "
            "The frames' predictions come from outside."
        ),
    ),
    AttentionSpec(
        name="self_critic",
        aliases=("self_critical_attention",),
        target="zoo_plugins.reinforcement.self_critic:SelfCritic",
        family="reinforcement",
        quadratic=True,  # in its weights
        needs_size=True,
        identity="exact",
        identity_gate=0.25,
        dead_parameters=(r"(^|\.)critic\.",),  # learns from its own loss
        paper=Paper(
            title="Self-Critical Attention Learning for Person Re-Identification",
            authors="Guangyi Chen, Chunze Lin, Liangliang Ren, Jiwen Lu, Jie Zhou",
            venue="ICCV",
            year=2019,
            doi="10.1109/ICCV.2019.00973",
        ),
        license="n/a",
        reference="equations",
        verified="equations",
        notes=(
            "The paper's equations; the critic's layers are our choice. The agent's and the "
            "critic's losses come from its method losses()."
        ),
    ),
)


@hookimpl
def zoo_attentions() -> tuple[AttentionSpec, ...]:
    return (*ATTENTIONS, *_dasnet.ATTENTIONS)


@hookimpl
def zoo_models() -> tuple[ModelSpec, ...]:
    return _dasnet.MODELS

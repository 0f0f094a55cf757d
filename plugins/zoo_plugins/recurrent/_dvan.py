"""Specs of the diversified visual attention network. No torch."""

from zoo.specs import AttentionSpec, ModelSpec, Paper

PAPER = Paper(
    title="Diversified Visual Attention Networks for Fine-Grained Object Classification",
    authors="Bo Zhao, Xiao Wu, Jiashi Feng, Qiang Peng, Shuicheng Yan",
    venue="IEEE Transactions on Multimedia",
    year=2017,
    arxiv="1606.08572",
)
NOTES = (
    "No code was released. The scales of the canvases, the start of the LSTM and the overlap by "
    "equal positions are choices made here."
)

ATTENTIONS = (
    AttentionSpec(
        name="dvan",
        aliases=("diversified_visual_attention",),
        target="zoo_plugins.recurrent.dvan:DiversifiedAttention",
        family="recurrent",
        contract="head",
        role="none",
        needs_size=True,
        paper=PAPER,
        reference="equations",
        verified="equations",
        notes=NOTES,
    ),
)


FIRST_CONV = {"vgg16": "features_0", "resnet18": "conv1", "resnet50": "conv1"}


def _model(features: str) -> ModelSpec:
    return ModelSpec(
        name=f"dvan_{features}",
        target="zoo_plugins.recurrent.dvan_network:DiversifiedAttentionNetwork",
        family="recurrent",
        defaults={"features": features},
        input={
            "classifier": "attention.classifier", "pool_size": None,
            "first_conv": f"backbone.{FIRST_CONV[features]}",
        },
        objective="zoo_plugins.recurrent.dvan_network:DiversifiedAttentionLoss",
        paper=PAPER,
        reference="equations",
        verified="equations",
        notes=NOTES,
    )  # fmt: skip


MODELS = tuple(map(_model, FIRST_CONV))

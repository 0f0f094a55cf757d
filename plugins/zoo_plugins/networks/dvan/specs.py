"""Specs of the diversified visual attention network. No torch."""

from zoo.registry.specs import ModelSpec, Provenance
from zoo_plugins import papers

NOTES = (
    "No code was released. The scales of the canvases, the start of the LSTM and the overlap by "
    "equal positions are choices made here."
)


FIRST_CONV = {"vgg16": "features_0", "resnet18": "conv1", "resnet50": "conv1"}


def _model(features: str) -> ModelSpec:
    return ModelSpec(
        name=f"dvan_{features}",
        target="zoo_plugins.networks.dvan.network:DiversifiedAttentionNetwork",
        family="recurrent",
        defaults={"features": features},
        input={
            "classifier": "attention.classifier",
            "pool_size": None,
            "first_conv": f"backbone.{FIRST_CONV[features]}",
        },
        objective="zoo_plugins.networks.dvan.network:DiversifiedAttentionLoss",
        provenance=Provenance(
            paper=papers.DVAN, reference="equations", verified="equations", notes=NOTES
        ),
    )


MODELS = tuple(map(_model, FIRST_CONV))

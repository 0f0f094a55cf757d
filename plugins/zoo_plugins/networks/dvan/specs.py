"""Specs of the diversified visual attention network. No torch."""

from zoo.registry.specs import ModelSpec, Provenance
from zoo_plugins import papers

NOTES = (
    "No code was released. The scales of the canvases, the start of the LSTM and the overlap by "
    "equal positions are choices made here."
)


def _model(features: str) -> ModelSpec:
    return ModelSpec(
        name=f"dvan_{features}",
        target="zoo_plugins.networks.dvan.network:DiversifiedAttentionNetwork",
        family="recurrent",
        defaults={"features": features},
        input={"classifier": "attention.classifier", "first_conv": None, "pool_size": None},
        objective="zoo_plugins.networks.dvan.network:DiversifiedAttentionLoss",
        provenance=Provenance(
            paper=papers.DVAN, reference="equations", verified="equations", notes=NOTES
        ),
    )


MODELS = tuple(_model(features) for features in ("vgg16", "resnet18", "resnet50"))

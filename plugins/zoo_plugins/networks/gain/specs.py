"""Specs of guided attention inference networks."""

from zoo.registry.specs import ModelSpec, Provenance
from zoo_plugins import papers
from zoo_plugins.networks.settings import RESNET


def _network(depth: int) -> ModelSpec:
    return ModelSpec(
        name=f"gain_resnet{depth}",
        target="zoo_plugins.networks.gain.resnet:GainResNet",
        defaults={"depth": depth},
        family="class_based",
        input=RESNET,
        objective="zoo_plugins.networks.gain.resnet:GuidedAttentionLoss",
        provenance=Provenance(
            paper=papers.GAIN,
            reference="equations",
            verified="equations",
            notes="The parameters of timm's ResNet; trained with the attention-mining loss; "
            "attention_maps(images) explains.",
        ),
    )


MODELS = tuple(_network(depth) for depth in (18, 34, 50, 101, 152))

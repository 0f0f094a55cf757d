"""Specs of SCOUTER's head and of the network that ends in it."""

from zoo.registry.specs import ModelSpec, Provenance
from zoo_plugins import papers
from zoo_plugins.networks.settings import RESNET

MODELS = tuple(
    ModelSpec(
        name=f"xslot_resnet{depth}",
        aliases=(f"scouter_resnet{depth}",),
        target="zoo_plugins.networks.xslot.resnet:XSlotResNet",
        defaults={"depth": depth},
        family="class_based",
        input={**RESNET, "classifier": "fc.slots"},
        objective="zoo_plugins.networks.xslot.resnet:XSlotLoss",
        provenance=Provenance(
            paper=papers.XSLOT,
            license="none stated in the repository",
            reference="authors",
            verified="equations",
            notes="The head is verified by cases, the network below it is timm's. "
            "attention_maps(images) explains: loss_status=-1 why an image is not of a class.",
        ),
    )
    for depth in (18, 34, 50, 101, 152)
)

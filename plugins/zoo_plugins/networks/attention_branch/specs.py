"""Specs of attention branch networks."""

from zoo.registry.specs import ModelSpec, Provenance
from zoo_plugins import papers
from zoo_plugins.networks.settings import RESNET


def _network(depth: int) -> ModelSpec:
    return ModelSpec(
        name=f"abn_resnet{depth}",
        aliases=(f"attention_branch_network_resnet{depth}",),
        target="zoo_plugins.networks.attention_branch.resnet:AttentionBranchResNet",
        defaults={"depth": depth},
        family="class_based",
        input=RESNET,
        objective="zoo_plugins.networks.attention_branch.resnet:AttentionBranchLoss",
        provenance=Provenance(
            paper=papers.ATTENTION_BRANCH,
            license="MIT",
            reference="authors",
            verified="equations",
            key_map=((r"^(att_layer4|bn_att\d?|att_conv\d?)\.", r"layer3.attention.\1."),),
            notes="The branch is verified by cases, the network around it is timm's. Trained with "
            "the branch's own cross-entropy; attention_maps(images) explains.",
        ),
    )


MODELS = tuple(_network(depth) for depth in (18, 34, 50, 101, 152))

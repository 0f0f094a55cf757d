"""Specs of SCOUTER's head and of the network that ends in it."""

from zoo_plugins.common.settings import RESNET

from zoo.specs import AttentionSpec, ModelSpec, Paper

SCOUTER = Paper(
    title="SCOUTER: Slot Attention-based Classifier for Explainable Image Recognition",
    authors="Liangzhi Li et al.",
    venue="ICCV",
    year=2021,
    arxiv="2009.06138",
)
KEY_MAP = "zoo_plugins.class_based.xslot:from_authors"

XSLOT = AttentionSpec(
    name="xslot",
    aliases=("scouter", "explainable_slot"),
    target="zoo_plugins.class_based.xslot:XSlot",
    family="class_based",
    contract="head",
    role="none",
    paper=SCOUTER,
    license="none stated in the repository",
    reference="authors",
    verified="cases",
    key_map=KEY_MAP,
    reference_call="zoo_plugins.class_based.xslot:reference_call",
    notes=(
        "The slots are their own queries: the authors' projection of them is never used. A row of "
        "logits is divided by its sum, which may be near zero."
    ),
)

MODELS = tuple(
    ModelSpec(
        name=f"xslot_resnet{depth}",
        aliases=(f"scouter_resnet{depth}",),
        target="zoo_plugins.class_based.xslot_resnet:XSlotResNet",
        defaults={"depth": depth},
        family="class_based",
        input={**RESNET, "classifier": "fc.slots"},
        objective="zoo_plugins.class_based.xslot_resnet:XSlotLoss",
        paper=SCOUTER,
        license="none stated in the repository",
        reference="authors",
        verified="equations",
        notes="The head is verified by cases, the network below it is timm's. "
        "attention_maps(images) explains: loss_status=-1 why an image is not of a class.",
    )
    for depth in (18, 34, 50, 101, 152)
)

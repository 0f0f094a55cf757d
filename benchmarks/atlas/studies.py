"""The comparisons of the atlas, as data: which backbone, which recipe, which arms."""

from __future__ import annotations

from zoo.compare.design import Arm, Comparison
from zoo.recipes import Data, Optimizer, Recipe

# The stages have 16, 32 and 64 channels: a sixteenth of these would be 1, 2 and 4.
NARROW = {"reduction": 4}
ATTENTIONS = {
    "se": NARROW, "eca": {}, "cbam": NARROW, "bam": NARROW, "simam": {}, "coordinate": {},
    "effective_se": {}, "gated_channel_transformation": {}, "global_context": {},
    "style_recalibration": {}, "sge": {}, "shuffle_attention": {}, "concurrent_se": {},
    "triplet": {}, "efficient_local": {}, "non_local": {},
}  # fmt: skip
# Its cost grows with the square of the number of positions: the last stage alone, 8 x 8.
SITES = {"non_local": ("layer3",)}
PLACED = ("se", "eca", "cbam", "simam")
PLACES = {
    "branch": None,  # the end of every block's residual branch, before the addition
    # after the addition and its ReLU, in every block
    "addition": tuple(f"layer{stage}.{block}.act2" for stage in (1, 2, 3) for block in (0, 1)),
    "stage": ("layer1.attn", "layer2.attn", "layer3.attn"),  # after the stage's last block
}


def _recipe(depth: int) -> Recipe:
    """One pass over 25,600 training images, in 800 steps."""
    return Recipe(
        model="cifar_resnet",
        model_options={"depth": depth, "num_classes": 10, "img_size": 32},
        epochs=1,
        batch_size=32,
        channels_last=True,
        data=Data(name="cifar10", holdout=50_000 - 25_600),
        optimizer=Optimizer(name="adamw", lr=0.01, weight_decay=0.05, warmup=0.25),
    )


def _placed(name: str, place: str) -> Arm:
    options = ATTENTIONS[name]
    return Arm(label=f"{name}, {place}", attention=name, sites=PLACES[place], options=options)


def studies() -> dict[str, Comparison]:
    """In the order in which they are run."""
    arms = tuple(
        Arm(label=name, attention=name, options=options, sites=SITES.get(name))
        for name, options in ATTENTIONS.items()
    )
    placed = tuple(_placed(name, place) for name in PLACED for place in PLACES)
    first = {
        "attentions": Comparison(recipe=_recipe(8), arms=arms, seeds=5),
        "placements": Comparison(recipe=_recipe(14), arms=placed, seeds=5),
    }
    return first

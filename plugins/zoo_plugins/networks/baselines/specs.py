"""The networks without attention that the field compares with."""

from typing import Any

from zoo.registry.specs import ModelSpec, Provenance
from zoo_plugins import papers


def _input(
    shape: tuple[int, int, int], classes: int, first_conv: str, pool_size: tuple[int, int]
) -> dict[str, Any]:
    return {
        "input_size": shape, "fixed_input_size": True, "num_classes": classes,
        "mean": (0.0,) * shape[0], "std": (1.0,) * shape[0], "crop_pct": 1.0,
        "interpolation": "bilinear", "first_conv": first_conv, "classifier": "classifier",
        "pool_size": pool_size,
    }  # fmt: skip


MODELS = (
    ModelSpec(
        name="cnn2_mnist",
        aliases=("mnist_cnn2",),
        target="zoo_plugins.networks.baselines.cnn2:Cnn2",
        family="baseline",
        config="zoo_plugins.networks.baselines.configs:read_size",
        input=_input((1, 28, 28), 10, "features.0", (12, 12)),
        provenance=Provenance(
            license="MIT",
            reference="transcribed",
            verified="cases",
            key_map="zoo_plugins.networks.baselines.cnn2:from_keras",
            notes=(
                "The Keras example mnist_cnn, the baseline of RAM. img_size= builds it for others."
            ),
        ),
    ),
    ModelSpec(
        name="cnn_svhn_grey",
        target="zoo_plugins.networks.baselines.svhn_grey:CnnSvhnGrey",
        family="baseline",
        config="zoo_plugins.networks.baselines.configs:digit_heads",
        input=_input((1, 32, 32), 55, "features.1", (1, 1)),
        objective="zoo_plugins.networks.baselines.sequence:SequenceCrossEntropy",
        provenance=Provenance(
            license="MIT",
            reference="equations",
            verified="equations",
            notes="Five digit heads on 32 x 32 grey pixels, of the repository whose DRAM port is "
            "checked here. Its contrast normalisation mixes the images of a batch; ours does not.",
        ),
    ),
    ModelSpec(
        name="cnn11_svhn",
        aliases=("svhn_cnn11",),
        target="zoo_plugins.networks.baselines.cnn11:Cnn11",
        family="baseline",
        config="zoo_plugins.networks.baselines.configs:cnn11_heads",
        input=_input((3, 54, 54), 62, "features.0.0", (7, 7)),
        objective="zoo_plugins.networks.baselines.sequence:SequenceCrossEntropy",
        provenance=Provenance(
            paper=papers.MULTI_DIGIT,
            license="MIT",
            reference="independent",
            verified="cases",
            key_map="zoo_plugins.networks.baselines.cnn11:from_port",
            notes="A port with batch norm, without maxout and without the locally connected layer; "
            "norm=, maxout=, locally_connected= are the paper's.",
        ),
    ),
)

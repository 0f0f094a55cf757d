"""timm's own tests of models, from the sdist of the installed version, on names of the zoo.

`pytest tests/timm_suite -m slow` fetches the sdist by pip; nothing of it is kept here. What cannot
pass by nature is in `BY_NATURE`, with the reason, what does not pass yet in `NOT_YET`. A row that
is no longer true is a failure too.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from fnmatch import fnmatch
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree

import pytest

from zoo.registry import default_registry

HERE = Path(__file__).parent
pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]

SMALLER = {  # than the first of its class
    "dram_svhn": "dram_mnist_pairs",
    "dvan_vgg16": "dvan_resnet18",
    "residual_attention_56": "residual_attention_56_cifar_small",
}
TESTS = (
    "test_model_default_cfgs", "test_model_default_cfgs_non_std", "test_model_forward",
    "test_model_backward", "test_model_forward_features", "test_model_forward_intermediates",
    "test_model_forward_intermediates_features", "test_prune_intermediate_layers_contract",
    "test_model_forward_torchscript", "test_model_forward_fx", "test_model_backward_fx",
)  # fmt: skip
COMPOSITIONS = (
    # attention that is tied to its size
    "axial_test_resnet", "bottleneck_test_resnet", "gaussian_test_resnet",
    "picanet_global_test_resnet", "self_critic_test_resnet", "spatial_spectral_test_resnet",
    "spatial_transformer_test_resnet",
    # in a vision transformer
    "clustered_test_vit", "external_multihead_test_vit", "multi_head_test_vit",
    "random_feature_test_vit", "smyrf_test_vit", "talking_heads_test_vit",
    # in convolutional families
    "se_resnet20_cifar", "coordinate_test_byobnet", "cot_test_resnet", "eca_legacy_seresnet18",
    "eca_mobilenetv3_small_050", "eca_selecsls42", "eca_test_efficientnet", "se_darknet17",
    "se_regnety_002", "se_test_nfnet", "simam_test_convnext", "stand_alone_test_resnet",
    "triplet_test_resnet",
)  # fmt: skip

FEW = "it has fewer than the three maps that timm asks for"
HEAT_MAPS = "it gives heat maps: there is no classifier to leave out"
NO_CONVOLUTION = "no convolution takes its image"
ROLLOUT = "its features are those of every glimpse of every rollout"
HOOKS = "it gates the maps of any network by hooks, which it sets in each pass"
SAMPLES = "its passes depend on the batch: as many rollouts are drawn as it is asked for"
BY_NATURE: dict[str, Mapping[str, str]] = {
    "test_model_default_cfgs": {"stacked_hourglass_1": HEAT_MAPS},
    "test_model_default_cfgs_non_std": {
        "perceiver_64": NO_CONVOLUTION, "ram_mnist": NO_CONVOLUTION, "dram_mnist_pairs": ROLLOUT,
    },
    "test_model_forward_features": {
        "stn_mnist": FEW, "cnn2_mnist": FEW, "stacked_hourglass_1": FEW,
        "cnn_svhn_grey": "its convolutions are not padded, and maps are smaller than by the stride",
        "cnn11_svhn": "its pools are padded, and maps are larger than by the stride",
    },
    "test_model_backward": {"stacked_hourglass_1": HEAT_MAPS},
    "test_model_forward_torchscript": {"dasnet_cifar10": HOOKS},
    "test_model_forward_fx": {
        "xslot_resnet18": "its last layer, the slots, gives the evidence of places, not logits",
        "dasnet_cifar10": HOOKS, "ram_mnist": SAMPLES, "dram_mnist_pairs": SAMPLES,
    },
    "test_model_backward_fx": {
        "stacked_hourglass_1": HEAT_MAPS,
        "dasnet_cifar10": HOOKS, "ram_mnist": SAMPLES, "dram_mnist_pairs": SAMPLES,
    },
}  # fmt: skip
PYTHON = "its steps are Python that TorchScript cannot compile: generators, lists of modules"
SHAPES = "it cuts canvases out of the image by its size"
NOT_YET: dict[str, Mapping[str, str]] = {  # what fails, and need not by nature
    "test_model_forward_torchscript": dict.fromkeys(
        ["slot_cnn_64", "perceiver_64", "residual_attention_*", "ram_mnist", "dram_mnist_pairs",
         "dvan_resnet18", "stacked_hourglass_1", "clustered_test_vit", "smyrf_test_vit"], PYTHON,
    ),
    "test_model_forward_fx": {"dvan_resnet18": SHAPES},
    "test_model_backward_fx": {"dvan_resnet18": SHAPES},
}  # fmt: skip


def networks() -> list[str]:
    """A model of each class and attention that the zoo names."""
    found: dict[tuple[str, str], str] = {}
    for name, spec in default_registry().models.items():
        found.setdefault((spec.target, spec.attention), SMALLER.get(name, name))
    return list(found.values())


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with timm's tests, beside nothing that could be imported as timm."""
    folder = tmp_path_factory.mktemp("timm")
    release = f"timm=={version('timm')}"
    command = [sys.executable, "-m", "pip", "download", release, "--no-deps", "--no-binary", "timm"]
    done = subprocess.run([*command, "-d", str(folder)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"{release} cannot be fetched: {done.stderr.strip().splitlines()[-1]}")
    (sdist,) = folder.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    root = folder / f"timm-{version('timm')}"
    (root / "timm").rename(folder / "unused")
    return root


def run(suite: Path, test: str, names: list[str], report: Path) -> dict[str, str]:
    """timm's test on each name: "" where it passed or skipped itself, else what it said."""
    paths = [str(HERE), *(path for path in sys.path if path)]
    environment = {
        **os.environ, "PYTHONPATH": os.pathsep.join(paths), "ZOO_SUITE_NAMES": " ".join(names),
        "TIMEOUT": "1200",
    }  # fmt: skip
    command = [
        sys.executable, "-m", "pytest", "-p", "zoo_names", f"tests/test_models.py::{test}", "-q",
        "-W", "ignore", "-p", "no:cacheprovider", f"--junitxml={report}",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=suite, env=environment, capture_output=True, text=True)
    assert report.is_file(), done.stdout[-2000:] + done.stderr[-2000:]
    outcomes: dict[str, str] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        name = case.attrib["name"].partition("[")[2].rstrip("]").removeprefix("1-")
        bad = [part for part in case if part.tag in ("failure", "error")]
        outcomes[name.removeprefix("2-")] = bad[0].attrib.get("message", "failed") if bad else ""
    return outcomes


@pytest.mark.parametrize("test", TESTS)
def test_timms_own(test: str, suite: Path, tmp_path: Path) -> None:
    outcomes = run(suite, test, [*networks(), *COMPOSITIONS], tmp_path / "report.xml")
    patterns = [*BY_NATURE.get(test, ()), *NOT_YET.get(test, ())]
    excused = {n for n in outcomes if any(fnmatch(n, pattern) for pattern in patterns)}
    failed = {name for name, message in outcomes.items() if message}
    print(f"{test}: {len(outcomes) - len(failed)} of {len(outcomes)} pass")
    assert len(outcomes) > 5
    assert {name: outcomes[name] for name in failed - excused} == {}
    assert excused - failed == set(), "these pass, and need not be excused"

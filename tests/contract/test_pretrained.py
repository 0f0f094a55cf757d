"""Pretrained models, from a Hub on loopback by the real client, beside timm's own loading."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import warm
from hub.client import Client
from hub.server import Hub
from safetensors.torch import save, save_file

import zoo
from zoo.errors import CorruptWeightsError, WeightsMismatchError, WeightsNotFoundError

pytestmark = pytest.mark.long

OPS = Path(__file__).with_name("pretrained_ops.py")


def published(architecture: str, seed: int = 0) -> bytes:
    """Weights as training leaves them: nothing at zero."""
    torch.manual_seed(seed)
    state = timm.create_model(architecture).state_dict()
    for key, tensor in state.items():
        if tensor.ndim == 1:
            tensor.copy_(torch.rand_like(tensor) * 0.5 + (0.5 if "weight" in key else 0.1))
    return save({key: tensor.contiguous() for key, tensor in state.items()})


def fine_tuned() -> dict[str, bytes]:
    """A repository of a fine-tuned warm start of three classes."""
    model = zoo.create_model("cbam_test_resnet", insertion="exact", num_classes=3)
    state = {key: tensor.contiguous() for key, tensor in model.state_dict().items()}
    arguments = {"insertion": "exact"}
    config = {"architecture": "cbam_test_resnet", "num_classes": 3, "model_args": arguments}
    return {"model.safetensors": save(state), "config.json": json.dumps(config).encode()}


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return {name: published(name) for name in ("resnet18", "seresnet50", "convnext_atto")}


WARM = {
    "cbam_resnet18": ("residual", "resnet18"),
    "simam_resnet18": ("residual", "resnet18"),
    "sk_resnet18": ("residual", "resnet18"),
    "eca_convnext_atto": ("exact", "convnext_atto"),
}
ADAPTED = [({"num_classes": 5}, 5), ({"num_classes": 0}, 512), ({"in_chans": 1}, 1000)]
THREE = {"name": "cbam_test_resnet", "weights": "hf-hub:org/three"}
IN21K = {"name": "mobilenetv3_large_100", "weights": "miil_in21k"}
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "same": ("compare", {"name": "se_resnet50", "timm_name": "seresnet50"}),
    "plain": ("compare", {"name": "cbam_resnet18", "timm_name": "resnet18", "insertion": "plain"}),
    "threads": ("threads", {"name": "resnet18"}),
    "nested": ("nested", {"name": "resnet18"}),
    "hub": ("compare", {"name": "hf-hub:org/mine", "timm_name": "resnet18.a1_in1k"}),
    "three": ("create", THREE),
    "in21k": ("create", IN21K),
    **{n: ("compare", {"name": n, "timm_name": base}) for n, (_, base) in WARM.items()},
    **{str(o): ("create", {"name": "cbam_resnet18", **o}) for o, _ in ADAPTED},
}


@pytest.fixture(scope="module")
def results(files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What came of each of `CALLS`, all in one process with an empty cache."""
    config = {"architecture": "resnet18", "pretrained_cfg": {"input_size": [3, 64, 64]}}
    with Hub() as hub:
        for name, tag in (("resnet18", "a1"), ("seresnet50", "a1"), ("convnext_atto", "d2")):
            hub.store.put(f"timm/{name}.{tag}_in1k", {"model.safetensors": files[name]})
        mine = {"model.safetensors": files["resnet18"], "config.json": json.dumps(config).encode()}
        commit = hub.store.put("org/mine", mine)
        hub.store.put("org/three", fine_tuned())
        large = published("mobilenetv3_large_100.miil_in21k")
        hub.store.put("timm/mobilenetv3_large_100.miil_in21k", {"model.safetensors": large})
        client = Client(hub.endpoint, tmp_path_factory.mktemp("home"))
        process = warm.run(
            [OPS, json.dumps(list(CALLS.values()))], env=client.environment(), check=True
        )
    rows = json.loads(process.stdout.splitlines()[-1])
    return dict(zip(CALLS, rows, strict=True)) | {"commit": commit}


def test_a_published_file_of_the_same_architecture_loads_as_it_is(results: dict[str, Any]) -> None:
    result = results["same"]
    assert result["ok"], result
    assert result["logits_equal"] and result["states_equal"]
    assert not result["random_state_moved"]
    assert result["weights"]["repository"] == "timm/seresnet50.a1_in1k"
    assert len(result["weights"]["sha256"]) == 64


@pytest.mark.parametrize("name", WARM)
def test_a_warm_start_has_the_logits_of_its_backbone(results: dict[str, Any], name: str) -> None:
    result = results[name]
    assert result["ok"], result
    assert result["insertion"] == WARM[name][0]
    assert result["backbone_equal"] and result["relative"] <= 1e-4
    assert not result["random_state_moved"]
    assert "untrained" in result["log"]


def test_plain_insertion_claims_nothing(results: dict[str, Any]) -> None:
    assert results["plain"]["backbone_equal"] and not results["plain"]["logits_equal"]
    assert "no accuracy is claimed" in results["plain"]["log"]


@pytest.mark.parametrize(("options", "width"), ADAPTED, ids=str)
def test_other_classes_and_channels_leave_nothing_undefined(
    results: dict[str, Any], options: dict[str, int], width: int
) -> None:
    assert results[str(options)]["finite"], results[str(options)]
    assert results[str(options)]["shape"] == [2, width]


def test_threads_agree_and_do_not_disturb_each_other(results: dict[str, Any]) -> None:
    assert len(results["threads"]["digests"]) == 1
    assert results["nested"]["spread"] > 0.005  # not left as it was allocated


def test_a_repository_builds_its_model_of_one_commit(results: dict[str, Any]) -> None:
    assert results["hub"]["logits_equal"], results["hub"]
    assert results["hub"]["weights"]["revision"] == results["commit"]


@pytest.mark.parametrize(("call", "classes"), [("three", 3), ("in21k", 11221)])
def test_weights_asked_for_by_repository_or_tag_bring_their_classes(
    results: dict[str, Any], call: str, classes: int
) -> None:
    assert results[call]["ok"], results[call]
    assert results[call]["shape"] == [2, classes] and not results[call]["log"]


@pytest.fixture(scope="module")
def good(files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "good.safetensors"
    path.write_bytes(files["resnet18"])
    return path


def test_a_file_of_one_s_own(good: Path) -> None:
    model = zoo.create_model("resnet18", weights=good, num_classes=4)
    assert model.zoo.weights["source"] == "file"
    assert model.fc.out_features == 4 and torch.isfinite(model.fc.weight).all()


def test_wrong_files_are_refused(good: Path, tmp_path: Path) -> None:
    content = good.read_bytes()
    bad = {"short": content[:-5], "page": b"<html>", "pickle": b"PK\x03\x04" + bytes(64)}
    for name, wrong in bad.items():
        (tmp_path / f"{name}.safetensors").write_bytes(wrong)
        with pytest.raises(CorruptWeightsError, match=r"truncated|HTML|pickle"):
            zoo.create_model("resnet18", weights=tmp_path / f"{name}.safetensors")
    with pytest.raises(WeightsMismatchError, match=r"not those of cbam_resnet18: \d+ missing"):
        zoo.create_model("cbam_resnet18", weights=good)
    with pytest.raises(WeightsMismatchError, match="of another shape"):
        zoo.create_model("resnet18", weights=good, block_reduce_first=2)
    with pytest.raises(WeightsNotFoundError, match="cannot be opened"):
        zoo.create_model("resnet18", weights=tmp_path / "absent.safetensors")


def test_a_classifier_that_is_absent_is_never_taken_for_a_trained_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where the model asks for as many classes as the architecture has by itself."""
    state = timm.create_model("resnet18").state_dict()
    bare = {key: value for key, value in state.items() if not key.startswith("fc.")}
    save_file(bare, tmp_path / "headless.safetensors")
    model = zoo.create_model("resnet18", weights=tmp_path / "headless.safetensors")
    assert model.num_classes == 0 and "no classifier" in caplog.text
    model = zoo.create_model(
        "resnet18", weights=tmp_path / "headless.safetensors", num_classes=1000
    )
    assert model.zoo.untrained == ("classifier",) and "untrained" in caplog.text


def test_a_file_full_of_nan_is_refused(tmp_path: Path) -> None:
    state = timm.create_model("resnet18").state_dict()
    state["layer3.0.conv1.weight"].fill_(float("nan"))
    save_file(state, tmp_path / "nan.safetensors")
    with pytest.raises(CorruptWeightsError, match=r"layer3\.0\.conv1\.weight"):
        zoo.create_model("resnet18", weights=tmp_path / "nan.safetensors")


def test_the_form_of_insertion_is_part_of_the_file(tmp_path: Path) -> None:
    trained = zoo.create_model("cbam_resnet18", insertion="residual")
    save_file(trained.state_dict(), tmp_path / "mine.safetensors")
    with pytest.raises(WeightsMismatchError, match="insertion='residual'"):
        zoo.create_model("cbam_resnet18", weights=tmp_path / "mine.safetensors", insertion="plain")
    again = zoo.create_model("cbam_resnet18", weights=tmp_path / "mine.safetensors")
    assert again.zoo.insertion == "residual"


def test_unknown_tags_name_the_known() -> None:
    with pytest.raises(WeightsNotFoundError, match="a1_in1k"):
        zoo.create_model("se_resnet50.nonsense", pretrained=True)
    with pytest.raises(WeightsNotFoundError, match="ram_28"):
        zoo.create_model("ram_28", pretrained=True)

"""Arguments of the wrong kind: the zoo's own error, with the call that mends it."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import warm
from safetensors.torch import save_file
from torch import nn
from torch.utils.data import DataLoader

import zoo
from zoo.build.call import call as build_by
from zoo.data.mnist import MNIST
from zoo.errors import DataError, OptionError, UnknownNameError, UsageError
from zoo.evaluation import evaluate
from zoo.registry.constructor import Constructor

MODEL = nn.Linear(1, 1)
ITEM = (np.zeros((8, 8), np.uint8), 1)


def _with_attention(name: Any) -> Any:
    attention: Any = name or 0.5  # None is no attention
    return zoo.create_model("resnet18", attention=attention)


@pytest.mark.parametrize("name", [None, 3, ["cbam"], b"cbam", Path("cbam"), {"a": 1}])
@pytest.mark.parametrize(
    "call",
    [
        zoo.create_model,
        zoo.create_attention,
        zoo.model_info,
        zoo.attention_info,
        _with_attention,
    ],
)
def test_a_name_is_a_string(call: Any, name: Any) -> None:
    if call is zoo.create_model and isinstance(name, Path):
        pytest.skip("a path is a run's folder or a file, for create_model")
    with pytest.raises(UnknownNameError, match="name is a string"):
        call(name)


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        ({"attention_options": "reduction"}, 'attention_options={"reduction": 8}'),
        ({"attention_options": [1]}, 'attention_options={"reduction": 8}'),
        ({"sites": 5}, 'sites="stage"'),
        ({"sites": [5]}, 'sites="stage"'),
        ({"sites": []}, "leave sites= out"),
        ({"sites": b"layer1"}, 'sites="stage"'),
    ],
)
def test_options_of_the_insertion_are_of_their_kind(options: Any, remedy: str) -> None:
    with pytest.raises(UsageError) as caught:
        zoo.create_model("se_resnet18", **options)
    assert remedy in caught.value.remedy


@pytest.mark.parametrize(
    ("name", "options", "meant"),
    [
        ("cbam_mobilenetv2_100", {"reduction": 8}, {"reduction": 8}),
        ("eca_convnext_atto", {"kernel_size": 3}, {"kernel_size": 3}),
        ("simam_mobilenetv2_100", {"e_lambda": 1e-3, "drop_rate": 0.1}, {"e_lambda": 1e-3}),
    ],
)
def test_an_option_of_the_attention_is_named_as_such(name: str, options: Any, meant: Any) -> None:
    with pytest.raises(OptionError) as caught:
        zoo.create_model(name, **options)
    assert caught.value.remedy == f'zoo.create_model("{name}", attention_options={meant!r})'
    options = {key: value for key, value in options.items() if key not in meant}
    zoo.create_model(name, attention_options=meant, **options)


def test_an_option_of_nobody_lists_those_of_the_backbone() -> None:
    with pytest.raises(OptionError) as caught:
        zoo.create_model("se_resnet18", reduction=8, nonsense=1)
    assert "nonsense" in caught.value.what and "drop_path_rate" in caught.value.remedy


@pytest.mark.parametrize(
    ("name", "options", "what", "listed"),
    [
        ("ram_mnist", {"glimpses": 3}, "has no option 'glimpses'", "num_glimpses"),
        ("ram_mnist", {"patch_size": 0}, "patch_size=0 is not a whole number of at least 1", ""),
        ("ram_mnist", {"squash": "relu"}, "squash='relu' is not one of 'clamp', 'tanh'", ""),
        ("ram_mnist", {"std": math.inf}, "std=inf is not finite", ""),
        ("dram_svhn", {"end_symbol": 1}, "end_symbol=1 is not True or False", ""),
        ("dram_svhn", {"filters": (8, 8)}, "filters=(8, 8) is not a sequence of 3", ""),
        ("stn_svhn", {"transformers": 2}, "transformers=2 is not one of 0, 1, 4", ""),
        ("xslot_resnet18", {"slots": 2}, "has no option 'slots'", "slots_per_class"),
        ("xslot_resnet18", {"slots": 2}, "has no option 'slots'", "drop_path_rate"),
        ("resnest14", {"depth": 15}, "depth=15 is not one of 14, 26", ""),
    ],
)
def test_an_option_of_a_network_is_checked_before_it_is_built(
    name: str, options: Any, what: str, listed: str
) -> None:
    with pytest.raises(OptionError) as caught:
        zoo.create_model(name, **options)
    assert what in caught.value.what and caught.value.where == f"model {name!r}"
    assert listed in caught.value.remedy


def _broken(num_classes: int = 2) -> Any:
    layer: Any = nn.Linear
    return layer(4, num_classes, width=3)


def test_a_constructor_that_is_itself_wrong_blames_no_option() -> None:
    """Its TypeError is of an argument that the user did not give."""
    with pytest.raises(OptionError, match="cannot be built") as caught:
        build_by(Constructor(_broken, "model", "broken"), {"num_classes": 3})
    assert "width" in caught.value.what and caught.value.where == "model broken(num_classes=3)"


def test_capitals_are_read() -> None:
    model: Any = zoo.create_model("ResNet18", attention="CBAM")
    assert model.zoo.name == "cbam_resnet18"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("se", {"channels": 64}),
        ("simam", {"channels": 64}),
        ("multi_head", {"channels": 64}),
        ("spatial_transformer", {"channels": 64, "feat_size": (14, 14)}),
    ],
)
def test_what_a_mechanism_cannot_do_without_is_said(name: str, options: Any) -> None:
    with pytest.raises(OptionError, match=f"{name} needs ") as caught:
        zoo.create_attention(name)
    shown = ", ".join(f"{key}={value}" for key, value in options.items())
    assert caught.value.remedy == f'zoo.create_attention("{name}", {shown})'
    assert "__init__" not in str(caught.value)
    zoo.create_attention(name, **options)


@pytest.mark.parametrize("data", ["mnist", b"mnist", Path("folder"), ""])
def test_the_name_of_a_data_set_is_not_the_data_set(data: Any) -> None:
    with pytest.raises(UsageError, match="is a name") as caught:
        evaluate(MODEL, data)
    assert "open_data(" in caught.value.remedy


@pytest.mark.parametrize("data", [None, 5, iter([ITEM]), DataLoader([ITEM])])  # pyright: ignore[reportArgumentType]
def test_what_cannot_be_indexed_is_no_data_set(data: Any) -> None:
    with pytest.raises(UsageError, match="map-style"):
        evaluate(MODEL, data)


@pytest.mark.parametrize("model", ["resnet18", None])
def test_the_name_of_a_model_is_not_the_model(model: Any) -> None:
    with pytest.raises(UsageError, match="not a model"):
        evaluate(model, [ITEM])


@pytest.mark.parametrize("numbers", [{"limit": "3"}, {"batch_size": 2.5}, {"workers": "x"}])
def test_numbers_are_whole(numbers: Any) -> None:
    with pytest.raises(OptionError, match="whole number"):
        evaluate(MODEL, [ITEM], **numbers)


def test_mnist_says_where_it_can_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError) as caught:
        MNIST(tmp_path, "train")
    assert f"d.MNIST('{tmp_path}', download=True)" in caught.value.remedy
    assert re.search(r"https://\S+/mnist", caught.value.remedy)
    monkeypatch.delenv("ZOO_DATA", raising=False)
    with pytest.raises(DataError, match="ZOO_DATA=DIR"):
        MNIST(None, "train")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        pytest.param(["--help"], 0, "Usage: ", marks=pytest.mark.slow),
        (["-h"], 0, "Usage: "),
        pytest.param([], 1, "no script is named", marks=pytest.mark.slow),
    ],
)
def test_the_bridge_says_how_it_is_called(arguments: list[str], code: int, said: str) -> None:
    done = warm.run(["-m", "zoo.timm_bridge", *arguments])
    assert done.returncode == code and said in (done.stderr if code else done.stdout)
    assert "Traceback" not in done.stderr


def test_two_calls_give_two_new_heads(tmp_path: Path) -> None:
    """As timm does: drawn from the global random state, the same again from the same seed."""
    path = tmp_path / "weights.safetensors"
    save_file(zoo.create_model("se_resnet10t", num_classes=5).state_dict(), path)

    def head() -> torch.Tensor:
        model: Any = zoo.create_model("se_resnet10t", weights=path, num_classes=3)
        return model.fc.weight.detach()

    torch.manual_seed(0)
    first, second = head(), head()
    torch.manual_seed(0)
    assert not torch.equal(first, second) and torch.equal(first, head())
    before = torch.get_rng_state()
    zoo.create_model("se_resnet10t", weights=path, num_classes=5)
    assert torch.equal(before, torch.get_rng_state()), "nothing was left to chance"

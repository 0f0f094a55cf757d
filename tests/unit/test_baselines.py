"""Networks without attention: their sizes, their heads, and what their layers compute."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from zoo_plugins.networks.baselines.cnn11 import Cnn11, LocallyConnected, Maxout
from zoo_plugins.networks.baselines.sequence import SequenceCrossEntropy
from zoo_plugins.networks.baselines.svhn_grey import ContrastNorm

import zoo
from zoo.errors import DataError, OptionError, UsageError

SMALL: dict[str, Any] = {"widths": (4, 4, 6, 6, 8, 8, 8, 8), "fc": (16, 16), "image_size": 32}


def count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def small(**options: Any) -> Any:
    torch.manual_seed(0)
    return zoo.create_model("cnn11_svhn", **{**SMALL, **options})


@pytest.mark.parametrize(
    ("name", "options", "parameters"),
    [
        ("cnn2_mnist", {}, 1_199_882),
        ("mnist_cnn2", {"img_size": 100}, 18_894_602),
        ("svhn_cnn11", {}, 42_868_734),
        # 5*5*16+16, 5*5*16*32+32, 5*5*32*64+64, five heads of 64*11+11
        ("cnn_svhn_grey", {}, 416 + 12_832 + 51_264 + 5 * 715),
    ],
)
def test_parameters(name: str, options: dict[str, Any], parameters: int) -> None:
    assert count(zoo.create_model(name, **options)) == parameters


def test_contrast_normalisation_is_its_equation_for_each_image() -> None:
    x = torch.rand(3, 1, 12, 10, dtype=torch.float64)
    found = ContrastNorm(dtype=torch.float64)(x)
    line = np.exp(-(np.arange(-3, 4) ** 2) / 18)
    kernel = np.outer(line, line) / line.sum() ** 2

    def blur(image: np.ndarray) -> np.ndarray:
        padded = np.pad(image, 3)
        windows = np.lib.stride_tricks.sliding_window_view(padded, (7, 7))
        return (windows * kernel).sum((-1, -2))

    for image, ours in zip(x[:, 0].numpy(), found[:, 0], strict=True):
        centred = image - blur(image)
        deviation = np.sqrt(blur(centred**2))
        expected = centred / np.maximum(deviation, deviation.mean())
        np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-6)


def test_response_normalisation_is_tensorflow_s() -> None:
    """x / (1 + sum of the squares of 11 channels around) ^ 0.5."""
    x = torch.randn(2, 16, 3, 3)
    layer = zoo.create_model("cnn_svhn_grey").features[3]
    squares = F.pad(x.square(), (0, 0, 0, 0, 5, 5))
    total = torch.stack([squares[:, i : i + 11].sum(1) for i in range(16)], 1)
    torch.testing.assert_close(layer(x), x / (1 + total).sqrt())


def test_maxout_and_a_locally_connected_layer() -> None:
    x = torch.randn(2, 6, 5, 4)
    torch.testing.assert_close(Maxout(3)(x)[:, 1], x[:, 3:].max(1)[0])
    conv = nn.Conv2d(6, 7, 3, padding=1)
    local = LocallyConnected((6, 5, 4), 7, 3)
    with torch.no_grad():  # the same kernel everywhere is a convolution
        local.weight.copy_(conv.weight.flatten(1).expand(20, -1, -1))
        local.bias.copy_(conv.bias[:, None].expand(-1, 20))
    torch.testing.assert_close(local(x), conv(x))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"norm": "subtractive", "maxout": 3, "locally_connected": True, "digit_classes": 10},
        {"length_classes": 0, "digits": 3, "image_size": (40, 24), "in_chans": 1},
        {"num_classes": 4},
    ],
)
def test_every_form_classifies_and_learns(options: dict[str, Any]) -> None:
    model = small(**options)
    x = torch.rand(4, model.in_chans, *model.image_size)
    logits = model(x)
    assert logits.shape == (4, options.get("num_classes", model.outputs))
    logits.square().sum().backward()
    missing = [n for n, p in model.named_parameters() if p.grad is None]
    assert missing == []


def test_a_sequence_s_probabilities_are_those_of_the_paper() -> None:
    """P(S) = P(L) prod P(S_i): summed over all sequences of two places."""
    model = small(digits=2, length_classes=4, digit_classes=11).eval()
    x = torch.rand(3, 3, 32, 32)
    length, digits = (head.double().softmax(-1) for head in model.heads(model(x)))
    digits = digits[..., :10] / digits[..., :10].sum(-1, keepdim=True)
    first = torch.cat(((length[:, 1:].sum(1)[:, None] * digits[:, 0]), length[:, :1]), 1)
    second = torch.cat(
        ((length[:, 2:].sum(1)[:, None] * digits[:, 1]), length[:, :2].sum(1)[:, None]), 1
    )
    found = model.sequence(x).exp().double()
    torch.testing.assert_close(found, torch.stack((first, second), 1), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "digit_classes"), [("cnn11_svhn", 10), ("cnn11_svhn", 11), ("cnn_svhn_grey", 11)]
)
def test_the_objective_is_the_likelihood_of_the_sequence(name: str, digit_classes: int) -> None:
    options = SMALL if name == "cnn11_svhn" else {}
    torch.manual_seed(0)
    model: Any = zoo.create_model(name, digit_classes=digit_classes, **options).eval()
    objective = SequenceCrossEntropy(model)
    x = torch.rand(2, model.in_chans, *model.image_size)
    labels = torch.tensor([[1, 2, 10, 10, 10], [9, 0, 0, 5, 10]])
    loss = objective(x, labels, 0.0)[0]
    length, digits = (head.log_softmax(-1) for head in model.heads(model(x)))
    expected = 0.0
    for i, (row, size) in enumerate(zip(labels.tolist(), (2, 4), strict=True)):
        places = range(5) if digit_classes == 11 else range(size)
        expected = expected - sum(digits[i, p, row[p]] for p in places) / 2
        if model.length_classes:
            expected = expected - length[i, size] / 2
    torch.testing.assert_close(loss, expected)


def test_it_learns_to_read() -> None:
    torch.manual_seed(0)
    model: Any = zoo.create_model("cnn_svhn_grey", digits=2)
    objective, optimizer = SequenceCrossEntropy(model), torch.optim.Adam(model.parameters(), 3e-3)
    labels = torch.tensor([[i % 10, 10 - i % 2] for i in range(8)])
    images = torch.rand(8, 1, 32, 32)
    before = float(objective.wrong(model.eval(), images, labels)["val_error"])
    for _ in range(40):
        loss, _ = objective(images, labels, 0.0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    wrong = objective.wrong(model.eval(), images, labels)["val_error"]
    assert before >= 6 and float(wrong) <= 2


def test_labels_are_filled_up_and_too_long_ones_refused() -> None:
    objective = SequenceCrossEntropy(small())
    assert objective.labels(torch.tensor([[1, 2]])).tolist() == [[1, 2, 10, 10, 10]]
    assert objective.labels(torch.tensor([[1, 2, 3, 4, 5, 10]])).tolist() == [[1, 2, 3, 4, 5]]
    with pytest.raises(DataError, match="5 digits"):
        objective.labels(torch.tensor([[1, 2, 3, 4, 5, 6]]))
    with pytest.raises(OptionError, match="no digit heads"):
        SequenceCrossEntropy(nn.Linear(2, 2))
    with pytest.raises(UsageError, match="num_classes=62"):
        small(num_classes=4).sequence(torch.rand(1, 3, 32, 32))


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("cnn2_mnist", {"img_size": 3}),
        ("cnn2_mnist", {"padding": "reflect"}),
        ("cnn2_mnist", {"widths": 32}),
        ("cnn2_mnist", {"img_size": 28, "image_size": 32}),
        ("cnn_svhn_grey", {"img_size": 24}),
        ("cnn11_svhn", {"kernel_size": 4}),
        ("cnn11_svhn", {"norm": "layer"}),
        ("cnn11_svhn", {"digits": 0}),
    ],
)
def test_what_cannot_be_is_refused(name: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        zoo.create_model(name, **wrong)


def test_the_paper_s_sizes() -> None:
    """Eight convolutions and the locally connected layer keep the map's size but for the pools."""
    model = Cnn11(maxout=3, norm="subtractive", locally_connected=True, device="meta")
    first: Any = model.features[0]
    assert first[0].out_channels == 3 * 48
    assert [i["num_chs"] for i in model.feature_info] == [48, 64, 128, 160, 192, 192, 192, 192]

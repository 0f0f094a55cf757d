"""Supervised attention: its two stages, and the head that they train."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import zoo
from zoo.errors import OptionError, UsageError


def loss(**options: Any) -> Any:
    return zoo.create_attention("supervised_attention", part="loss", num_classes=5, **options)


def given(batch: int = 6) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(1)
    logits = torch.randn(2, batch, 5, generator=random)
    return logits[0], logits[1], torch.arange(batch) % 5


def test_stage_two_is_stage_one_of_each_subset() -> None:
    att, out, labels = given()
    one = loss()
    easy = one(att[:2], out[:2], labels[:2])
    hard = one(att[2:], out[2:], labels[2:])
    found = loss(stage=2, subset_batch=2, w1=0.3, w2=0.7)(att, out, labels)
    torch.testing.assert_close(found, 0.3 * easy + 0.7 * hard)
    halves = loss(stage=2)(att, out, labels)
    torch.testing.assert_close(halves, loss(stage=2, subset_batch=3)(att, out, labels))


def test_the_branchs_weight_is_of_stage_one_alone() -> None:
    att, out, labels = given()
    cross_entropy = torch.nn.functional.cross_entropy
    torch.testing.assert_close(loss(att_weight=0.0)(att, out, labels), cross_entropy(out, labels))
    torch.testing.assert_close(
        loss(stage=2, att_weight=0.0)(att, out, labels), loss(stage=2)(att, out, labels)
    )


def test_a_subset_without_samples_is_refused() -> None:
    with pytest.raises(UsageError, match="empty"):
        loss(stage=2, subset_batch=6)(*given())
    with pytest.raises(UsageError, match="shape"):
        loss()(given()[0][:, :4], *given()[1:])
    with pytest.raises(OptionError, match="stage"):
        loss(stage=3)
    with pytest.raises(OptionError, match="channels"):
        zoo.create_attention("supervised_attention")


def test_head_and_loss_train_every_parameter() -> None:
    torch.manual_seed(0)
    head: Any = zoo.create_attention("supervised_attention", 8, num_classes=5).train()
    x = torch.randn(6, 8, 4, 4)
    att_logits, logits, attention = head.attend(x)
    assert attention.shape == (6, 1, 4, 4)
    loss()(att_logits, logits, torch.arange(6) % 5).backward()
    still = {n for n, p in head.named_parameters() if p.grad is None or not p.grad.abs().max() > 0}
    assert still <= {"branch.bn_att.bias"}

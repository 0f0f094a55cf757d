"""Reinforced self-attention: who attends to whom, and what is left where nobody is chosen."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import zoo
from zoo.errors import OptionError

ALL, NONE = torch.zeros(2, 5).double(), torch.ones(2, 5).double() * 2  # noise: chosen, not chosen


def build(**options: Any) -> Any:
    torch.manual_seed(0)
    options = {"hidden_size": 4, "activation": "elu", **options}
    return zoo.create_attention("resan", 6, dtype=torch.float64, **options)


def tokens() -> Tensor:
    random = torch.Generator().manual_seed(1)
    return torch.randn(2, 5, 6, generator=random, dtype=torch.float64)


def test_each_direction_sees_one_side_only() -> None:
    module, x = build(), tokens()
    changed = x.clone()
    changed[:, 3] += 1
    noise = {"noise_dep": ALL, "noise_head": ALL}
    before, after = module.attend(x, **noise), module.attend(changed, **noise)
    torch.testing.assert_close(before.forward[:, :3], after.forward[:, :3])
    torch.testing.assert_close(before.backward[:, 4:], after.backward[:, 4:])
    assert not torch.allclose(before.forward[:, 4], after.forward[:, 4])
    assert not torch.allclose(before.backward[:, 2], after.backward[:, 2])


def test_one_direction_is_the_other_of_the_reversed_tokens() -> None:
    module, x = build(), tokens()
    module.bw.load_state_dict(module.fw.state_dict())
    noise = torch.rand(2, 2, 5, generator=torch.Generator().manual_seed(2)).double()
    found = module.attend(x, noise_dep=noise[0], noise_head=noise[1])
    turned = module.attend(x.flip(1), noise_dep=noise[0].flip(1), noise_head=noise[1].flip(1))
    torch.testing.assert_close(found.forward, turned.backward.flip(1))


def test_the_only_choice_is_taken_whole() -> None:
    """With one token to depend on, the context of a later head is that token."""
    module, x = build(), tokens()
    noise = NONE.clone()
    noise[:, 1] = 0
    found = module.attend(x, noise_dep=noise, noise_head=ALL)
    r = torch.nn.functional.elu(module.fw.map(x))
    context = torch.zeros_like(r)
    context[:, 2:] = r[:, 1:2]
    gate = torch.sigmoid(module.fw.fusion_i(r) + module.fw.fusion_a(context) + module.fw.o_bias)
    torch.testing.assert_close(found.forward, gate * r + (1 - gate) * context)


def test_who_is_not_chosen_gets_the_mean_of_the_others() -> None:
    module, x = build(), tokens()
    found = module.attend(x, noise_dep=ALL, noise_head=NONE)
    r = torch.nn.functional.elu(module.fw.map(x))
    context = (r.sum(1, keepdim=True) - r) / 4
    gate = torch.sigmoid(module.fw.fusion_i(r) + module.fw.fusion_a(context) + module.fw.o_bias)
    torch.testing.assert_close(found.forward, gate * r + (1 - gate) * context)
    left = build(keep_unselected=False).attend(x, noise_dep=ALL, noise_head=NONE)
    assert not left.forward.any() and not left.sentence.any()


def test_log_prob_is_that_of_the_choices() -> None:
    module, x = build().train(), tokens()
    found = module.attend(x, generator=torch.Generator().manual_seed(3))
    for part in (found.dep, found.head):
        chosen = torch.distributions.Bernoulli(part.prob).log_prob(part.select)
        torch.testing.assert_close(part.log_prob, chosen)
    assert found.log_prob.shape == (2, 10)
    found.log_prob.sum().backward()
    assert module.dep.h1.weight.grad.abs().max() > 0


def test_in_eval_the_likelier_choice_is_taken() -> None:
    found = build().eval().attend(tokens())
    torch.testing.assert_close(found.head.select, (found.head.prob >= 0.5).double())


def test_padding_changes_nothing() -> None:
    module, x = build(num_tokens=5).eval(), tokens()
    mask = (torch.arange(5) < 3).expand(2, 5)
    short, padded = module.attend(x[:, :3]), module.attend(x, mask)
    torch.testing.assert_close(padded.sentence, short.sentence)
    torch.testing.assert_close(padded.forward[:, :3], short.forward)
    assert not padded.dep.log_prob[:, 3:].any()
    with pytest.raises(OptionError, match="num_tokens=5"):
        module(torch.zeros(1, 6, 6).double())

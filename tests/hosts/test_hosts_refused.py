"""What cannot be done is one clear error, and the host is as it was."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import own_hosts
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

import zoo
from zoo.errors import IncompatibleBackboneError, OptionError, UnknownNameError, UsageError

X = torch.rand(2, 3, 16, 16)


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Classes, attributes, keys, values, flags and the random state are as before."""
    facts = snapshot(model)
    yield
    assert snapshot(model) == facts


def snapshot(model: nn.Module) -> Any:
    rows = [
        (path, type(m), sorted(vars(m)), list(m._modules), m.training)
        for path, m in model.named_modules()
    ]
    state = {k: (id(p), p._version, p.requires_grad) for k, p in model.named_parameters()}
    counts = {k: float(b.float().sum()) for k, b in model.named_buffers()}
    return rows, state, counts, torch.get_rng_state().tolist()


WRONG: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "a path of nothing": ({"at": "stage1.0.con1"}, UsageError, "stage1.0.conv1"),
    "a pattern of nothing": ({"at": "layer9.*"}, UsageError, "no module"),
    "no place": ({"at": []}, UsageError, "no place"),
    "neither path nor function": ({"at": 3}, UsageError, "neither paths nor a function"),
    "a function that says no": ({"at": lambda path, module: False}, UsageError, "says no"),
    "no default places": ({"at": None}, IncompatibleBackboneError, "no default places"),
    "a vector, third of three": (
        {"at": ["stage1", "stage2", "fc"]}, IncompatibleBackboneError, "no map and no tokens",
    ),
    "a norm": ({"at": "stage1.0.bn1"}, IncompatibleBackboneError, "is a norm"),
    "unknown attention": ({"attention": "cbamm"}, UnknownNameError, "cbam"),
    "unknown option": ({"reductoin": 4}, OptionError, "reductoin"),
    "channels that do not fit": (
        {"attention": "shuffle_attention", "groups": 5}, IncompatibleBackboneError,
        "not divisible",
    ),
    "no host attention": ({"attention": "perceiver"}, UsageError, "perceiver"),
    "form": ({"insertion": "sideways"}, UsageError, "sideways"),
    "exact where it cannot": ({"attention": "simam", "insertion": "exact"}, UsageError, "simam"),
    "train": ({"train": "some"}, UsageError, "train"),
    "norms alone": ({"eval_norms": True}, UsageError, "eval_norms"),
    "name": ({"name": "a.b"}, UsageError, "identifier"),
    "a name that is taken": ({"at": "stage1.0", "name": "conv1"}, UsageError, "conv1"),
    "layout": ({"layout": "chw"}, UsageError, "layout"),
    "a layout that is not": ({"layout": "tokens"}, UsageError, "no tokens"),
    "prefix": ({"prefix_tokens": -1}, UsageError, "prefix_tokens"),
    "grid": ({"grid": (2, 0)}, UsageError, "grid"),
    "a mixer on no softmax": (
        {"attention": "multi_head"}, IncompatibleBackboneError, "softmax attention",
    ),
    "a convolution that is none": (
        {"attention": "stand_alone"}, IncompatibleBackboneError, "replaces a convolution",
    ),
    "an example it cannot take": (
        {"example": torch.rand(2, 5, 16, 16)}, IncompatibleBackboneError, "stem.0|cannot be run",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize("training", [True, False])
def test_a_wrong_call_changes_nothing(case: str, training: bool) -> None:
    given, error, text = WRONG[case]
    model = own_hosts.ResNet().train(training)
    arguments = {"attention": "se", "at": "stage1", "example": X, **given}
    with untouched(model), pytest.raises(error, match=text):
        zoo.add_attention(model, **arguments)


def test_a_host_of_no_known_family_needs_an_example() -> None:
    with pytest.raises(UsageError, match="what ResNet takes is not known"):
        zoo.add_attention(own_hosts.ResNet(), "se", at="stage1")


def test_what_is_no_module_is_refused() -> None:
    with pytest.raises(UsageError, match="no torch.nn.Module"):
        zoo.add_attention("resnet50", "se")  # type: ignore[arg-type]


def compiled() -> nn.Module:
    return torch.compile(own_hosts.ResNet(), backend="eager")  # type: ignore[return-value]


def compiled_in_place() -> nn.Module:
    model = own_hosts.ResNet()
    model.stage1.compile(backend="eager")
    return model


def lazy() -> nn.Module:
    model = own_hosts.ResNet()
    model.fc = nn.LazyLinear(4)  # type: ignore[assignment]
    return model


def scripted() -> nn.Module:
    model = own_hosts.ResNet()
    model.stage1 = torch.jit.trace(nn.Conv2d(16, 16, 1), torch.rand(1, 16, 8, 8))  # type: ignore
    return model


def own_forward() -> nn.Module:
    model = own_hosts.ResNet()
    model.stage1.forward = lambda x: x  # type: ignore[method-assign]
    return model


def parametrised() -> nn.Module:
    model = own_hosts.ResNet()
    model.stage1 = nn.Sequential(nn.Conv2d(16, 16, 1))
    parametrizations.weight_norm(model.stage1[0])
    return model


def in_an_encoder_layer() -> nn.Module:
    return nn.Sequential(nn.TransformerEncoderLayer(16, 2, 16, batch_first=True))


HOSTS = {
    "compiled": (compiled, "stage1", "is compiled"),
    "compiled in place": (compiled_in_place, "stage1", "is compiled"),
    "lazy": (lazy, "stage1", "is lazy"),
    "an own forward": (own_forward, "stage1", "forward of its own"),
    "parametrised": (parametrised, "stage1.0", "parametrised"),
}


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("case", HOSTS)
def test_a_host_that_cannot_be_changed_is_refused(case: str) -> None:
    build, at, text = HOSTS[case]
    model = build()
    classes = [type(module) for module in model.modules()]
    with pytest.raises(IncompatibleBackboneError, match=text):
        zoo.add_attention(model, "se", at=at, example=X)
    assert [type(module) for module in model.modules()] == classes


@pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning")
def test_a_scripted_module_is_refused() -> None:
    model = scripted()
    with pytest.raises(IncompatibleBackboneError, match="TorchScript|cannot be run"):
        zoo.add_attention(model, "se", at="stage1", example=X)


def test_what_a_fast_path_may_leave_out_is_refused() -> None:
    with pytest.raises(IncompatibleBackboneError, match="TransformerEncoderLayer"):
        zoo.add_attention(
            in_an_encoder_layer(), "multi_head", at="0.self_attn", example=torch.rand(2, 9, 16)
        )


def test_a_second_attention_needs_a_name() -> None:
    model = own_hosts.ResNet().eval()
    before = model(X)
    zoo.add_attention(model, "se", at="stage1", example=X)
    with untouched(model), pytest.raises(UsageError, match="has an attention already") as caught:
        zoo.add_attention(model, "simam", at="stage1", example=X)
    assert "name=" in caught.value.remedy
    zoo.add_attention(model, "simam", at="stage1", example=X, name="second")
    assert torch.allclose(model(X), before, atol=1e-6)
    assert zoo.remove_attention(model, "second") == ["stage1.second"]
    with pytest.raises(UsageError, match="'second'"):
        zoo.remove_attention(model, "second")
    assert zoo.remove_attention(model) == ["stage1.se"] and zoo.remove_attention(model) == []
    with pytest.raises(UsageError, match="no attention was added"):
        zoo.attention_parameters(model)


def test_hooks_of_others_are_kept_and_not_called() -> None:
    model, seen = own_hosts.ResNet().eval(), []
    model.stage1.register_forward_hook(lambda m, i, y: seen.append(y))
    model.stage1.register_forward_pre_hook(lambda m, i: seen.append(i))
    zoo.add_attention(model, "se", at="stage1", example=X, insertion="plain")
    assert seen == []
    model(X)
    given, attended = seen
    wanted = model.stage1.se.attn(model.stage1[1](model.stage1[0](given[0])))  # type: ignore
    assert torch.allclose(attended, wanted)  # a hook sees what the module now gives


def test_a_pass_counts_no_batch_and_draws_nothing() -> None:
    model = own_hosts.ResNet().train()
    counted, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    zoo.add_attention(model, "cbam", at="stage*", example=X, reduction=4)
    assert torch.equal(torch.get_rng_state(), state) and model.training
    assert model.stage1.cbam.training
    zoo.remove_attention(model)
    assert all(torch.equal(t, counted[key]) for key, t in model.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_the_attention_has_the_type_of_its_host(dtype: torch.dtype) -> None:
    model = own_hosts.ResNet().to(dtype).eval()
    before = model(X.to(dtype))
    zoo.add_attention(model, "se", at="stage1", example=X)
    zoo.add_attention(model, "simam", at="stage2", example=X)
    assert {p.dtype for p in model.parameters()} == {dtype}
    torch.testing.assert_close(model(X.to(dtype)), before)


def test_training_the_attention_alone_and_back() -> None:
    model = own_hosts.ResNet().train()
    model.stem[0].requires_grad_(False)
    zoo.add_attention(
        model, "se", at="stage1", example=X, train="attention", eval_norms=True, reduction=4
    )
    zoo.add_attention(
        model, "coordinate", at="stage2", example=X, train="attention", eval_norms=True
    )
    trained = [p for p in model.parameters() if p.requires_grad]
    assert set(map(id, trained)) == set(map(id, zoo.attention_parameters(model)))
    means = {n: b.clone() for n, b in model.named_buffers() if n.endswith("running_mean")}
    model.train()(X).sum().backward()
    moved = {name for name, mean in means.items() if not torch.equal(model.get_buffer(name), mean)}
    assert moved == {name for name in means if ".coordinate." in name} != set()
    copied = copy.deepcopy(model).train()
    assert not copied.stage1[0].bn1.training
    zoo.remove_attention(model)
    assert type(model.stage1[0].bn1) is nn.BatchNorm2d and model.stage1[0].bn1.training
    frozen = [key for key, p in model.named_parameters() if not p.requires_grad]
    assert frozen == ["stem.0.weight", "stem.0.bias"]


def test_an_optimiser_in_flight_goes_on_and_takes_the_attention_in() -> None:
    model = own_hosts.ResNet().train()
    optimizer = torch.optim.AdamW(model.parameters())
    model(X).sum().backward()
    optimizer.step()
    zoo.add_attention(model, "se", at="stage1", example=X)
    optimizer.add_param_group({"params": zoo.attention_parameters(model)})
    start = {key: p.detach().clone() for key, p in model.named_parameters()}
    optimizer.zero_grad()
    model(X).square().sum().backward()
    optimizer.step()
    moved = {key for key, p in model.named_parameters() if not torch.equal(p, start[key])}
    assert {"fc.weight", "stage1.se.attn.fc2.weight"} <= moved
    known = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert known == {id(p) for p in model.parameters()}


def test_the_signature_and_the_name_of_an_attended_class_stay() -> None:
    class Masked(nn.Module):
        def forward(self, x: Tensor, *, mask: Tensor | None = None) -> Tensor:
            return x if mask is None else x * mask

    model = nn.Sequential(nn.Conv2d(3, 8, 1), Masked())
    zoo.add_attention(model, "se", at="1", example=X)
    assert type(model[1]).__name__ == "Masked" and isinstance(model[1], Masked)
    assert list(inspect.signature(model[1].forward).parameters) == ["x", "mask"]
    zero = model[1](torch.rand(1, 8, 4, 4), mask=torch.zeros(()))
    assert torch.equal(zero, torch.zeros(1, 8, 4, 4))

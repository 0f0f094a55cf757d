"""What cannot be done is one clear error, and the host is as it was."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
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
    "a pattern that is none": ({"at": "stage[2-1]"}, UsageError, "cannot be read"),
    "no letters": ({"at": "stage[]"}, UsageError, "no module"),
    "options that are none": ({"attention_options": 3}, UsageError, "no mapping"),
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


def scripted(whole: bool, trace: bool) -> nn.Module:
    """The host, or its first stage, as TorchScript."""
    model = own_hosts.ResNet().eval()
    part, x = (model, X) if whole else (model.stage1, model.stem(X).detach())
    made: Any = torch.jit.trace(part, x) if trace else torch.jit.script(part)
    if not whole:
        model.stage1 = made
    return made if whole else model


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


@pytest.mark.filterwarnings("ignore")  # of TorchScript, which is deprecated
@pytest.mark.parametrize("trace", [False, True])
def test_a_part_in_torchscript_takes_nothing_but_the_others_do(trace: bool) -> None:
    with pytest.raises(IncompatibleBackboneError, match="compiled by TorchScript"):
        zoo.add_attention(scripted(True, trace), "se", at="stage1", example=X)
    model = scripted(False, trace)
    before = model(X)
    with pytest.raises(IncompatibleBackboneError, match="TorchScript"):
        zoo.add_attention(model, "se", at="stage1", example=X)
    zoo.add_attention(model, "se", at=["stem", "stage2"], example=X)
    assert torch.equal(model(X), before)
    zoo.remove_attention(model)
    assert torch.equal(model(X), before)


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


def test_a_place_of_the_host_gives_no_form_its_name() -> None:
    """timm's blocks keep a place that is called `se`, and any attention may stand there."""
    timm = pytest.importorskip("timm")
    model = timm.create_model("test_resnet")
    zoo.add_attention(model, "cbam", example=torch.rand(1, 3, 32, 32))
    zoo.add_attention(model, "se", at="layer1", example=torch.rand(1, 3, 32, 32))
    assert zoo.remove_attention(model, "se") == ["layer1.se"]
    assert all(path.endswith(".se") for path in zoo.remove_attention(model, "cbam"))


def test_what_comes_back_is_in_the_mode_of_the_model() -> None:
    """A softmax attention with dropout stood aside while the model went into evaluation."""
    timm = pytest.importorskip("timm")
    model = timm.create_model("test_vit", attn_drop_rate=0.5).train()
    x = torch.rand(1, 3, 160, 160)
    zoo.add_attention(model, "external_multihead", example=x, insertion="plain")
    model.eval()
    assert zoo.remove_attention(model)
    assert {module.training for module in model.modules()} == {False}


def test_what_was_frozen_is_trained_again_though_layers_were_replaced() -> None:
    model = own_hosts.ResNet().train()
    zoo.add_attention(
        model, "se", at="stage1", example=X, train="attention", eval_norms=True, reduction=4
    )
    model.fc = nn.Identity()  # type: ignore[assignment]
    model.stage1[0].bn1 = nn.GroupNorm(4, 16)
    assert zoo.remove_attention(model) == ["stage1.se"]
    assert all(p.requires_grad for p in model.parameters())
    assert all(module.training for module in model.modules())
    assert {type(m) for m in model.modules() if "Norm" in type(m).__name__} == {
        nn.BatchNorm2d, nn.GroupNorm,
    }  # fmt: skip


def test_a_part_that_was_frozen_alone_is_trained_again_with_the_whole() -> None:
    model = nn.Sequential(own_hosts.ResNet(), nn.Linear(4, 2)).train()
    zoo.add_attention(model[0], "se", at="stage1", example=X, train="attention", eval_norms=True)
    zoo.add_attention(model, "simam", at="0.stage2", example=X)
    zoo.remove_attention(model, "simam")
    assert not model[0].fc.weight.requires_grad  # type: ignore[union-attr]
    zoo.remove_attention(model)
    assert all(p.requires_grad for p in model.parameters())
    assert all(module.training for module in model.modules())


@pytest.mark.parametrize("file", [False, True])
def test_a_place_is_not_taken_from_what_has_attention(file: bool, tmp_path: Path) -> None:
    model, path = own_hosts.ResNet(), tmp_path / "a.safetensors"
    zoo.add_attention(model, "stand_alone", at="stage1.0.conv1", example=X, insertion="plain")
    zoo.save_attention(model, path)
    zoo.remove_attention(model)
    zoo.add_attention(model, "se", at="stage1.0.conv1", example=X)
    with untouched(model), pytest.raises(UsageError, match="attention"):
        if file:
            zoo.load_attention(model, path)
        else:
            zoo.add_attention(
                model, "stand_alone", at="stage1.0.conv1", example=X, insertion="plain", name="two"
            )


def test_the_parameters_at_a_place_of_a_composition_stay_whole() -> None:
    """alpha of the form that `create_model` made is the attention's too."""
    model = zoo.create_model("test_resnet", attention="se", insertion="residual", num_classes=3)
    before = len(zoo.attention_parameters(model))
    zoo.add_attention(model, "eca", at=model.zoo.sites[0], example=torch.rand(1, 3, 32, 32))
    added = len(list(model.get_submodule(model.zoo.sites[0]).eca.parameters()))  # type: ignore[union-attr]
    assert len(zoo.attention_parameters(model)) == before + added


def test_an_empty_list_names_nothing_to_attend_to() -> None:
    model = own_hosts.ResNet()
    model.extra = nn.ModuleList()
    with untouched(model), pytest.raises(UsageError, match="'extra' names a list without modules"):
        zoo.add_attention(model, "se", at="extra", example=X)


def test_a_model_is_no_place_in_itself() -> None:
    model = nn.Conv2d(3, 8, 3, padding=1)
    with untouched(model), pytest.raises(IncompatibleBackboneError, match="the model is itself"):
        zoo.add_attention(model, "stand_alone", at="", example=X, insertion="plain")

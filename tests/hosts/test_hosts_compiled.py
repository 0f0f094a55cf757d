"""A host with attention compiles and exports; several processes train it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from host_table import LARGE, SMALL, Host
from test_hosts_matrix import IN_PLACE, as_trained, run, same
from torch import nn

import zoo

pytestmark = pytest.mark.long

QUICK = ("own_unet", "torchvision_vit", "transformers_vit")
NAMES = [
    pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
    for name in (*SMALL, *LARGE)
    if "rcnn" not in name and "ssd" not in name  # what they run depends on values
]


@pytest.fixture(params=NAMES)
def attended(request: pytest.FixtureRequest) -> tuple[nn.Module, Any, Host]:
    """A host with attention that is not where it started."""
    torch.manual_seed(0)
    host = {**SMALL, **LARGE}[request.param]
    model, example = as_trained(host.build()).eval(), host.example()
    for name in host.mechanisms[:2]:  # a third is at the places of the second
        own = None if name in IN_PLACE else host.at
        zoo.add_attention(model, name, at=own, example=example)
    with torch.no_grad():
        for parameter in zoo.attention_parameters(model):
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model, example, host


@pytest.mark.filterwarnings("ignore")  # of the compiler's own parts
def test_it_compiles_to_the_same(attended: tuple[nn.Module, Any, Host]) -> None:
    model, example, _ = attended
    wanted = run(model, example)
    compiled: Any = torch.compile(model, backend="eager")
    assert same(run(compiled, example), wanted)


@pytest.mark.filterwarnings("ignore")
def test_it_exports_to_the_same(attended: tuple[nn.Module, Any, Host]) -> None:
    model, example, _ = attended
    wanted = run(model, example)
    args, keywords = ((), example) if isinstance(example, dict) else ((example,), {})
    program = torch.export.export(model, args, keywords)
    assert same(run(program.module(), example), wanted)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["own_resnet", "own_unet", "torchvision_vit", "timm_resnet"])
def test_onnxruntime_computes_the_same(name: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    host = SMALL[name]
    model, example = as_trained(host.build()).eval(), host.example()
    zoo.add_attention(model, "cbam", at=host.at, example=example, insertion="plain")
    file = tmp_path / "model.onnx"
    torch.onnx.export(model, (example,), file, dynamo=True)
    session = runtime.InferenceSession(str(file))
    (found,) = session.run(None, {session.get_inputs()[0].name: example.numpy()})
    assert same([torch.from_numpy(found)], run(model, example), 1e-4)


def one_step(rank: int, folder: str) -> None:
    """In one of two processes: a step of a host with attention on half of the images."""
    import own_hosts
    import torch.distributed as dist
    from torch.nn.parallel import DistributedDataParallel

    dist.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=2)
    torch.manual_seed(0)
    x = torch.rand(4, 3, 16, 16)
    model = own_hosts.ResNet()
    zoo.add_attention(model, "se", at=["stage1", "stage2"], example=x)
    zoo.add_attention(model, "simam", at="stage1.0", example=x)
    wrapped = DistributedDataParallel(model)
    try:
        zoo.add_attention(wrapped, "se", at="module.stage1", example=x)
        raise AssertionError("attention that other processes do not know of")
    except zoo.errors.IncompatibleBackboneError:
        pass
    optimizer = torch.optim.SGD(zoo.attention_parameters(model), lr=0.1)
    start = [p.detach().clone() for p in zoo.attention_parameters(model)]
    for _ in range(2):
        wrapped(x[2 * rank : 2 * rank + 2]).square().sum().backward()
        optimizer.step()
    assert not all(map(torch.equal, start, zoo.attention_parameters(model)))
    torch.save(model.state_dict(), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes_train_one_attention(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(one_step, (str(tmp_path),), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    added = [key for key in first if ".se." in key or ".simam." in key]
    assert added and all(torch.equal(first[key], second[key]) for key in added)


@pytest.mark.filterwarnings("ignore")  # of the parts of torch that shard
def test_a_sharded_host_trains_and_is_not_saved_by_halves(tmp_path: Path) -> None:
    import own_hosts
    import torch.distributed as dist
    from torch.distributed.fsdp import fully_shard

    x, model = torch.rand(2, 3, 16, 16), own_hosts.ResNet()
    zoo.add_attention(model, "cbam", at="stage1", example=x, insertion="exact", reduction=4)
    dist.init_process_group("gloo", f"file://{tmp_path}/meet", rank=0, world_size=1)
    try:
        fully_shard(model)
        model(x).sum().backward()
        assert all(p.grad is not None for p in zoo.attention_parameters(model))
        with pytest.raises(zoo.errors.UsageError, match="full_state_dict"):
            zoo.save_attention(model, tmp_path / "cbam.safetensors")
        with pytest.raises(zoo.errors.IncompatibleBackboneError, match="before fully_shard"):
            zoo.add_attention(model, "se", at="stage2", example=x)
    finally:
        dist.destroy_process_group()
    assert not (tmp_path / "cbam.safetensors").exists()

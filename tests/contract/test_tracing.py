"""What traces, scripts and transforms make of every attention on maps."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from timm.models._features_fx import get_notrace_functions, get_notrace_modules
from torch import nn
from torchvision.models.feature_extraction import NodePathTracer

from zoo.registry import default_registry
from zoo.registry.catalogue import goes_into_backbones
from zoo.registry.specs import AttentionSpec
from zoo.testing.trial import MAPS, build, close, run, sample

pytestmark = [  # TorchScript is deprecated, a trace says what it fixes, vmap what is slow
    pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
    pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning"),
]
SPECS = [s for s in default_registry().attentions.values() if goes_into_backbones(s)]
ON_MAPS = [s for s in SPECS if s.contract in MAPS]
QUICK = (
    "axial", "bat", "bottleneck", "cbam", "criss_cross", "double_attention", "dual_attention",
    "eca", "ema_unit", "external", "fca", "gaussian", "halo", "harmonious", "multi_head",
    "non_local", "polarized_parallel", "polarized_sequential", "random_feature", "se", "sge",
    "simam", "soca", "spatial_spectral", "talking_heads", "triplet",
)  # fmt: skip
NOT_SCRIPTED = {  # what TorchScript cannot compile of them
    "acmix": "cuts maps into tiles that are remembered",
    "agent": "has parameters that depend on its options, and checks its tokens",
    "aggregated": "checks its tokens",
    "bi_level_routing": "checks its map, and refuses some in a message",
    "clustered": "draws from a generator of the caller's",
    "deformable": "checks its map, and refuses some in a message",
    "focal_modulation": "sums a list of tensors",
    "focused_linear": "checks its tokens",
    "grid": "checks its map, and pads it by computed shapes",
    "hoga": "runs gates that are chosen by a number",
    "ms_deformable": "takes shapes of any number of levels",
    "neighborhood": "cuts maps into tiles that are remembered",
    "non_local_sparse": "makes tables from a generator of its own",
    "polarity_linear": "checks its tokens",
    "receptive_field": "runs the rest of its layers after the first",
    "retention": "hands type and device on together",
    "smyrf": "draws from a generator of the caller's",
    "window": "calls the forward of timm's class around its own",
}
every = pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
on_maps = pytest.mark.parametrize("spec", ON_MAPS, ids=lambda spec: spec.name)


@on_maps
def test_traced_at_one_size(spec: AttentionSpec) -> None:
    """At another size the graph gives what the module gives, or refuses the map."""
    module, x = build(spec).eval(), sample(spec)[0]
    graph: Any = torch.jit.trace(module, x, check_trace=False)
    for size in ((8, 8), (12, 10), (7, 9), (4, 16), (36, 36)):
        other = sample(spec, batch=2, size=size)[0]
        try:
            found = run(graph, other)
        except RuntimeError:
            assert size != (8, 8), f"{spec.name} refuses its own size"
            continue
        close(found, run(module, other), spec, f"the graph differs at {size}")


@every
def test_a_node_of_a_symbolic_graph(spec: AttentionSpec) -> None:
    model, x = nn.Sequential(build(spec)).eval(), sample(spec)[0]
    tracer = NodePathTracer(
        autowrap_functions=list(get_notrace_functions()), leaf_modules=list(get_notrace_modules())
    )
    graph = torch.fx.GraphModule(model, tracer.trace(model))
    close(run(graph, x), run(model, x), spec, "the graph computes something else")


@every
def test_vmap_is_a_batch(spec: AttentionSpec) -> None:
    module, x = build(spec).eval(), sample(spec)[0]
    several = torch.stack([x, x.flip(0)])
    with torch.no_grad():
        found = torch.func.vmap(module)(several)
    close(found[0], run(module, x), spec, "under vmap it computes something else")


@pytest.mark.parametrize(
    "spec",
    [pytest.param(s, marks=() if s.name in QUICK else pytest.mark.slow) for s in SPECS],
    ids=lambda spec: spec.name,
)
def test_scripts(spec: AttentionSpec) -> None:
    """Scripted it computes the same, on other batches too; or it is known not to be scripted."""
    module, x = build(spec).eval(), sample(spec)[0]
    if spec.name in NOT_SCRIPTED:
        with pytest.raises((RuntimeError, ValueError)):
            torch.jit.script(module)
        return
    scripted: Any = torch.jit.script(module)
    for given in (x, torch.cat([x, x[:1]])):
        close(run(scripted, given), run(module, given), spec, "scripted it differs")


@pytest.mark.parametrize("name", default_registry().attentions)
def test_is_built_in_a_narrow_default(name: str) -> None:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        module = build(default_registry().attentions[name])
    finally:
        torch.set_default_dtype(before)
    assert all(t.dtype == torch.bfloat16 for t in module.parameters())

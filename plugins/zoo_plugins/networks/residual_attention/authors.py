"""Names of the authors' Caffe layers, and of two PyTorch ports, for this network's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor, nn

from zoo_plugins.networks.residual_attention.mask import AttentionModule, SoftMask
from zoo_plugins.networks.residual_attention.network import ResidualAttentionNetwork
from zoo_plugins.networks.residual_attention.units import PreActBottleneck

Pairs = Iterator[tuple[str, str]]  # (theirs, ours), of layers
Units = list[tuple[str, nn.Module]]  # (path below its module, unit)


def from_authors(state: Mapping[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """A state dict of the prototxts' layer names, or of a port's, under this network's names.

    Two ports compute the same: tengshaofeng's, and that of pytorchcv, whose names the published
    weights of Attention-56 have (phamquiluan/ResidualAttentionNetwork, 77.02 % of ImageNet by its
    README).

    The port's residual blocks own a projection (`conv4`) even where they never use it: those are
    dropped. Running variances are variances; the authors' Caffe keeps 1 / sqrt(var + eps) instead.
    """
    assert isinstance(module, ResidualAttentionNetwork)
    if module.form == "tengshaofeng" and any(key.startswith("features.") for key in state):
        names = dict(_pytorchcv(module))
    elif module.form == "tengshaofeng":
        names = dict(_port(module, cifar=any(".middle_2r_blocks." in key for key in state)))
    else:
        names = dict(_caffe(module))
    own, found = module.state_dict().keys(), dict[str, Tensor]()
    for key, tensor in state.items():
        layer, _, leaf = key.rpartition(".")
        name = f"{names.get(layer, layer)}.{leaf}"
        if name in own or not layer.endswith(".conv4"):
            found[name] = tensor
    return found


def _caffe(module: ResidualAttentionNetwork) -> Pairs:
    """Batch norms before a unit are named after the layer whose output they norm."""
    yield from (("conv1", "stem.conv"), ("conv1/bn", "stem.norm"), ("classifier", "fc"))
    before, last = "pool1_3x3_s2", len(module.stages)
    for s, stage in enumerate(module.stages, 1):
        for i, block in enumerate(stage.children()):
            ours = f"stages.{s - 1}.{i}"
            if isinstance(block, AttentionModule):
                theirs = f"Attention{chr(64 + s)}_{i}"
                yield from _caffe_module(theirs, ours, block, before)
            else:
                theirs = f"post_res_{s}_{i + 1}" if s == last else f"pre_res_{s}"
                yield from _caffe_unit(theirs, ours, block, before)
            before = theirs
    yield f"{before}/bn", "norm.0"


def _caffe_module(theirs: str, ours: str, module: AttentionModule, before: str) -> Pairs:
    trunk = [*_children(module, "pre"), *_children(module, "trunk")]
    names = [f"{theirs}/trunk/res{i + 1}" for i in range(len(trunk))]
    yield from _caffe_row(names, trunk, ours, before)
    if module.mask is not None:
        yield from _caffe_mask(f"{theirs}/mask", f"{ours}.mask", module.mask)
    post = _children(module, "post")
    names = [theirs, *(f"{theirs}/res{i}" for i in range(2, len(post) + 1))]
    yield from _caffe_row(names, post, ours, f"{theirs}/fusion")


def _caffe_mask(theirs: str, ours: str, mask: SoftMask) -> Pairs:
    down, up = ("down_sample", "up_sample") if mask.norm1 is not None else ("down", "up")
    rows = [*_children(mask, "down"), ("bottom", mask.bottom)]
    for i, (path, row) in enumerate(rows, 1):
        units = _children(row, "", path)
        names = [f"{theirs}/{down}/res{i}_{k + 1}" for k in range(len(units))]
        yield from _caffe_row(names, units, ours, f"{theirs}/{down}/pool{i}_3x3_s2")
        if i < len(rows):
            skip = _children(mask, "skip")[i - 1]
            yield from _caffe_row([f"{theirs}/skip/res{i}"], [skip], ours, names[-1])
            units = _children(mask.up[i - 1], "", f"up.{i - 1}")
            names = [f"{theirs}/{up}/res{i}_{k + 1}" for k in range(len(units))]
            yield from _caffe_row(names, units, ours, f"{theirs}/up_sample{i}")
    yield f"{theirs}/{up}/interp_1/bn", f"{ours}.norm1"
    yield f"{theirs}/linear_1", f"{ours}.conv1"
    yield f"{theirs}/linear_1/bn", f"{ours}.norm2"
    yield f"{theirs}/linear_2", f"{ours}.conv2"


def _caffe_row(names: list[str], units: Units, ours: str, before: str) -> Pairs:
    for name, (path, unit) in zip(names, units, strict=True):
        yield from _caffe_unit(name, f"{ours}.{path}", unit, before)
        before = name


def _caffe_unit(theirs: str, ours: str, unit: nn.Module, before: str) -> Pairs:
    preact = isinstance(unit, PreActBottleneck)
    if preact:
        yield f"{before}/bn", f"{ours}.norm1"
    for i, name in enumerate(("conv1_1x1", "conv2_3x3", "conv3_1x1"), 1):
        yield f"{theirs}/branch1/{name}", f"{ours}.conv{i}"
        yield f"{theirs}/branch1/{name}/bn", f"{ours}.norm{i + preact}"
    shortcut = f"{theirs}/branch2/conv1_1x1"
    yield shortcut, f"{ours}.downsample" if preact else f"{ours}.downsample.0"
    yield f"{shortcut}/bn", f"{ours}.downsample.1"


def _port(module: ResidualAttentionNetwork, cifar: bool) -> Pairs:
    """Its CIFAR networks have names of their own for the units of the masks."""
    yield from (("conv1.0", "stem.conv"), ("conv1.1", "stem.norm"), ("mpool2.0", "norm.0"))
    yield "fc", "fc"
    last = len(module.stages)
    first = int(last < 5)  # the network for 448 pixels begins with residual_block0
    for s, stage in enumerate(module.stages):
        for i, block in enumerate(stage.children()):
            ours = f"stages.{s}.{i}"
            if isinstance(block, AttentionModule):
                theirs = f"attention_module{s + first}" + (f"_{i}" if i > 1 else "")
                yield from _port_module(theirs, ours, block, cifar)
            else:
                yield from _port_unit(f"residual_block{s + first + i}", ours)


def _port_module(theirs: str, ours: str, module: AttentionModule, cifar: bool) -> Pairs:
    yield from _port_unit(f"{theirs}.first_residual_blocks", f"{ours}.pre.0")
    for i in range(len(module.trunk)):
        yield from _port_unit(f"{theirs}.trunk_branches.{i}", f"{ours}.trunk.{i}")
    yield from _port_unit(f"{theirs}.last_blocks", f"{ours}.post.0")
    if module.mask is None:
        return
    ours, levels = f"{ours}.mask", len(module.mask.up)
    down, bottom, up, end = (
        ("down_residual_blocks{}", "middle_2r_blocks", "up_residual_blocks{}", "conv1_1_blocks")
        if cifar
        else tuple(f"softmax{n}_blocks" for n in ("{}", levels + 1, "{}", 2 * levels + 2))
    )
    for i in range(levels):
        above = i + 1 if cifar else 2 * levels + 1 - i  # counted from the bottom
        yield from _port_unit(f"{theirs}.{down.format(i + 1)}", f"{ours}.down.{i}.0")
        skip = f"{theirs}.skip{i + 1}_connection_residual_block"
        yield from _port_unit(skip, f"{ours}.skip.{i}")
        yield from _port_unit(f"{theirs}.{up.format(above)}", f"{ours}.up.{i}.0")
    for i in range(len(module.mask.bottom)):
        yield from _port_unit(f"{theirs}.{bottom}.{i}", f"{ours}.bottom.{i}")
    for number, layer in ((0, "norm1"), (2, "conv1"), (3, "norm2"), (5, "conv2")):
        yield f"{theirs}.{end}.{number}", f"{ours}.{layer}"


def _port_unit(theirs: str, ours: str) -> Pairs:
    for i in (1, 2, 3):
        yield f"{theirs}.bn{i}", f"{ours}.norm{i}"
        yield f"{theirs}.conv{i}", f"{ours}.conv{i}"
    yield f"{theirs}.conv4", f"{ours}.downsample"


def _pytorchcv(module: ResidualAttentionNetwork) -> Pairs:
    stem = "features.init_block.conv"
    yield from ((f"{stem}.conv", "stem.conv"), (f"{stem}.bn", "stem.norm"))
    yield from (("features.post_activ.bn", "norm.0"), ("output", "fc"))
    for s, stage in enumerate(module.stages):
        for i, block in enumerate(stage.children()):
            theirs, ours = f"features.stage{s + 1}.unit{i + 1}", f"stages.{s}.{i}"
            if isinstance(block, AttentionModule):
                yield from _pytorchcv_module(theirs, ours, block)
            else:
                yield from _pytorchcv_unit(theirs, ours)


def _pytorchcv_module(theirs: str, ours: str, module: AttentionModule) -> Pairs:
    """The trunk is the first skip; the units at the bottom are of the last way down and up."""
    yield from _pytorchcv_row([f"{theirs}.init_blocks"], f"{ours}.pre", len(module.pre))
    yield from _pytorchcv_row([f"{theirs}.hg.skip_seq.skip1"], f"{ours}.trunk", len(module.trunk))
    yield from _pytorchcv_unit(f"{theirs}.final_block", f"{ours}.post.0")
    if module.mask is None:
        return
    ours, mask, last = f"{ours}.mask", module.mask, len(module.mask.up) + 1
    down, up = (f"{theirs}.hg.{way}_seq.{way}{{}}.res_blocks" for way in ("down", "up"))
    for i, (falling, rising) in enumerate(zip(mask.down, mask.up, strict=True)):
        yield from _pytorchcv_row([down.format(i + 1)], f"{ours}.down.{i}", len(_units(falling)))
        yield from _pytorchcv_unit(f"{theirs}.hg.skip_seq.skip{i + 2}.skip1", f"{ours}.skip.{i}")
        yield from _pytorchcv_row([up.format(i + 1)], f"{ours}.up.{i}", len(_units(rising)))
    bottom = [down.format(last), up.format(last)]
    yield from _pytorchcv_row(bottom, f"{ours}.bottom", len(mask.bottom))
    for i in (1, 2):
        yield f"{theirs}.middle_block.conv{i}.bn", f"{ours}.norm{i}"
        yield f"{theirs}.middle_block.conv{i}.conv", f"{ours}.conv{i}"


def _pytorchcv_row(theirs: list[str], ours: str, count: int) -> Pairs:
    """`count` units of ours, of which each of theirs has as many."""
    each = count // len(theirs)
    for i in range(count):
        yield from _pytorchcv_unit(f"{theirs[i // each]}.blocks.block{i % each + 1}", f"{ours}.{i}")


def _pytorchcv_unit(theirs: str, ours: str) -> Pairs:
    for i in (1, 2, 3):
        yield f"{theirs}.body.conv{i}.bn", f"{ours}.norm{i}"
        yield f"{theirs}.body.conv{i}.conv", f"{ours}.conv{i}"
    yield f"{theirs}.identity_conv", f"{ours}.downsample"


def _units(row: nn.Module) -> list[nn.Module]:
    return list(row.children())


def _children(module: nn.Module, name: str, path: str = "") -> Units:
    """(path, unit) of each child of a part of a module."""
    part = module.get_submodule(name)
    return [(f"{path or name}.{key}", child) for key, child in part.named_children()]

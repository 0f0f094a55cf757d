"""The named fallback: after each stage of `feature_info`, but never on the stem.

A fake forward pass (shapes only, no arithmetic) tells channels, size and layout of each stage.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from zoo.errors import IncompatibleBackboneError
from zoo.insertion.sites import Site


def stage_sites(model: nn.Module, img_size: tuple[int, int], in_chans: int) -> list[Site]:
    """One site after each stage whose output is a map; empty if the model has no such stage."""
    infos = [dict(info) for info in getattr(model, "feature_info", None) or ()]
    infos = [info for i, info in enumerate(infos) if not _is_stem(model, info["module"], i)]
    paths = [info["module"] for info in infos]
    shapes = probe(model, paths, img_size, in_chans)
    found: list[Site] = []
    for info in infos:
        shape = shapes.get(info["module"])
        if shape is not None and len(shape) == 4 and info["num_chs"] in (shape[1], shape[3]):
            found.append(_site(model, info, shape, img_size))
    return found


def named_sites(
    model: nn.Module, paths: list[str], img_size: tuple[int, int], in_chans: int
) -> list[Site]:
    """Sites after any modules that are named by their full paths and give a map (B, C, H, W)."""
    shapes = probe(model, paths, img_size, in_chans)
    return [
        Site(
            path=path, channels=shape[1], stride=max(1, img_size[0] // shape[2]), way="swap",
            size=(shape[2], shape[3]),
        )
        for path, shape in shapes.items() if len(shape) == 4
    ]  # fmt: skip


def probe(
    model: nn.Module, paths: list[str], img_size: tuple[int, int], in_chans: int
) -> dict[str, tuple[int, ...]]:
    """Output shapes of the modules at `paths`, from a forward pass on fake tensors."""
    shapes: dict[str, tuple[int, ...]] = {}
    modules = dict(model.named_modules())
    hooks = [
        modules[path].register_forward_hook(_recorder(shapes, path))
        for path in paths if path in modules
    ]  # fmt: skip
    training = model.training
    try:
        model.eval()
        with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
            like = next(model.parameters(), torch.empty(0))
            model(torch.empty(1, in_chans, *img_size, device=like.device, dtype=like.dtype))
    except Exception as error:
        raise IncompatibleBackboneError(
            f"{type(model).__name__} cannot be run at {img_size[0]}x{img_size[1]}: {error}",
            remedy="give img_size=, or name another backbone",
        ) from error
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
    return shapes


def _recorder(shapes: dict[str, tuple[int, ...]], path: str):  # noqa: ANN202
    def record(_module: nn.Module, _inputs: object, output: object) -> None:
        if isinstance(output, Tensor):
            shapes[path] = tuple(output.shape)

    return record


def _site(model: nn.Module, info: dict, shape: tuple[int, ...], img_size: tuple[int, int]) -> Site:
    module = model.get_submodule(info["module"])
    last = shape[1] != info["num_chs"] or (
        shape[3] == info["num_chs"] and getattr(model, "output_fmt", "NCHW") == "NHWC"
    )
    size = (shape[1], shape[2]) if last else (shape[2], shape[3])
    way, path = "swap", info["module"]
    if _runs_its_children(module):
        way, path = "set", f"{path}.attn"
    elif not any(True for _ in module.parameters()):
        way = "set"
    return Site(
        path=path, channels=info["num_chs"], stride=max(1, img_size[0] // size[0]), way=way,
        channels_last=last, base_first=True, size=size,
    )  # fmt: skip


def _runs_its_children(module: nn.Module) -> bool:
    """Whether a child that is added will be run last."""
    return isinstance(module, nn.Sequential) or type(module).__name__ == "RegStage"


def _is_stem(model: nn.Module, path: str, index: int) -> bool:
    """The stem is what comes before the blocks: by its name, or a first map with nothing in it."""
    if "stem" in path or "patch_embed" in path:
        return True
    return index == 0 and not any(True for _ in model.get_submodule(path).children())

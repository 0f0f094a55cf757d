"""Where in a model the attention is that `create_model` put into it."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn


def placed(model: nn.Module, sites: Sequence[str]) -> list[tuple[str, nn.Module]]:
    """The path and the module of each place of a model that still has it.

    timm's extractors of features rename modules: `stages.0.blocks` becomes `stages_0.blocks` or
    `model.stages.0.blocks`. They leave out stages that no map needs.

    Args:
        sites: the paths in the model as it was built (`ModelRecord.sites`).
    """
    modules = dict(model.named_modules(remove_duplicate=False))
    renamed = {_flat(path): path for path in modules}
    found = (site if site in modules else renamed.get(_flat(site)) for site in sites)
    return [(path, modules[path]) for path in found if path is not None]


def _flat(path: str) -> str:
    return path.removeprefix("model.").replace(".", "_")

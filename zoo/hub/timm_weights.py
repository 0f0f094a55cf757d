"""What timm publishes for an architecture, as a `WeightsSpec`."""

from __future__ import annotations

from typing import Any

from zoo.errors import WeightsNotFoundError
from zoo.registry.specs import WeightsSpec

INPUT_KEYS = (
    "input_size", "test_input_size", "fixed_input_size", "interpolation", "crop_pct",
    "test_crop_pct", "crop_mode", "mean", "std",
)  # fmt: skip


def timm_weights(architecture: str, tag: str = "") -> WeightsSpec:
    """The weights of timm's own tag, or of its default tag, on the Hub as safetensors.

    `kind` is `published`: for the plain architecture they are just that. Imports timm.

    Raises:
        WeightsNotFoundError: timm names no Hub weights for it, or not under that tag.
    """
    from timm.models import get_pretrained_cfg

    try:
        config = get_pretrained_cfg(f"{architecture}.{tag}" if tag else architecture)
    except RuntimeError:  # an unknown tag
        config = None
    if config is None or not config.hf_hub_id:
        raise WeightsNotFoundError(
            f"timm publishes no weights for {architecture}" + (f" with tag {tag!r}" if tag else ""),
            remedy=f"other tags: {', '.join(_tags(architecture)) or 'none'}",
        )
    filename = config.hf_hub_filename or "model.safetensors"
    if not filename.endswith(".safetensors"):
        filename = filename.rpartition(".")[0] + ".safetensors"
    return WeightsSpec(
        model=architecture,
        tag=config.tag or tag or "default",
        kind="published",
        repository=config.hf_hub_id,
        filename=filename,
        num_classes=config.num_classes,
        input=_input(config.to_dict()),
        license=config.license or "",
    )


def _input(config: dict[str, Any]) -> dict[str, Any]:
    return {key: config[key] for key in INPUT_KEYS if key in config}


def _tags(architecture: str) -> list[str]:
    from timm.models import list_pretrained

    names = list_pretrained(f"{architecture}.*")
    return [name.partition(".")[2] for name in names]

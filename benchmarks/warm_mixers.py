"""How near a vision transformer starts when a token mixer takes its attention's place.

    python benchmarks/warm_mixers.py

vit_small_patch16_224 with timm's initial weights, and with queries and keys 2.5 and 5 times as
large, where attention is sharper; values and projections 3 times, so that blocks count. Mixers take
over q, k, v and the projection. Compared on noise: the cosine of the logits with the plain model's.
`entropy` is that of the first block's attention over log N: 1 is flat. Writes a .json.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor

from zoo.build.attention import build_attention
from zoo.insertion import Target, insert
from zoo.insertion.mixers import HINTS, on_tokens
from zoo.registry import default_registry
from zoo.registry.constructor import option_names
from zoo.registry.targets import resolve

BACKBONE = "vit_small_patch16_224"
SHARPNESS = (1.0, 2.5, 5.0)
MIXERS: dict[str, tuple[str, dict[str, Any]]] = {
    "multi_head": ("multi_head", {}),
    "talking_heads": ("talking_heads", {}),
    "efficient": ("efficient", {}),
    "random_feature": ("random_feature", {}),
    "random_feature, 512": ("random_feature", {"proj_dim": 512}),
    "clustered, 25": ("clustered", {"num_clusters": 25}),
    "clustered, 100": ("clustered", {}),
    "improved clustered, 25": ("clustered", {"num_clusters": 25, "improved": True}),
    "improved clustered, 100": ("clustered", {"improved": True}),
    "smyrf, 4 x 64": ("smyrf", {}),
    "smyrf, 8 x 64": ("smyrf", {"n_hashes": 8}),
    "smyrf, 4 x 256": ("smyrf", {"q_cluster_size": 256, "k_cluster_size": 256}),
    "external_multihead": ("external_multihead", {}),
}


def plain(sharpness: float) -> Any:
    """The transformer, with queries and keys that many times as large."""
    torch.manual_seed(0)
    model: Any = timm.create_model(BACKBONE).eval()
    with torch.no_grad():
        for block in model.blocks:
            q, k, v = block.attn.qkv.weight.chunk(3)
            q.mul_(sharpness)
            k.mul_(sharpness)
            v.mul_(3)
            block.attn.proj.weight.mul_(3)
    return model


def put(model: Any, name: str, options: dict[str, Any]) -> Any:
    """The mixer in the place of every attention, as `pretrained=True, insertion="plain"` does."""
    registry = default_registry()
    spec = registry.attentions[name]
    spec = on_tokens(spec, resolve(spec.target, "zoo"), model)
    accepted = option_names(resolve(spec.target, "zoo"))

    def build(channels: int, **more: Any) -> Any:
        known = {k: v for k, v in more.items() if k in accepted or k not in HINTS}
        return build_attention(spec, registry, channels, {**known, **options})

    target = Target(model=model, name=BACKBONE, img_size=(224, 224), in_chans=3)
    insert(target, spec, build)
    return model.eval()


def entropy(model: Any, x: Tensor) -> float:
    """Of the first block's attention, over log N."""
    tokens = model.blocks[0].norm1(model.pos_drop(model._pos_embed(model.patch_embed(x))))
    attention = model.blocks[0].attn
    q, k, _ = attention.qkv(tokens).unflatten(2, (3, attention.num_heads, -1)).unbind(2)
    p = torch.einsum("bnhd,bmhd->bhnm", q, k).mul(attention.scale).softmax(3)
    return float(-(p * p.clamp(min=1e-30).log()).sum(3).mean() / math.log(p.shape[3]))


@torch.no_grad()
def main() -> None:
    x = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    rows: list[dict[str, Any]] = []
    for sharpness in SHARPNESS:
        model = plain(sharpness)
        logits = model(x)
        row: dict[str, Any] = {"sharpness": sharpness, "entropy": round(entropy(model, x), 3)}
        for label, (name, options) in MIXERS.items():
            found = put(plain(sharpness), name, options)(x)
            row[label] = round(float(torch.cosine_similarity(found, logits).min()), 4)
        rows.append(row)
        print(row)
    record = {
        "backbone": BACKBONE,
        "torch": torch.__version__,
        "rows": rows,
    }
    Path(__file__).with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()

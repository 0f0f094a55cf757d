"""Readers of JPEG files against Pillow's: are the pixels equal, and is one faster?

    python benchmarks/decoding.py DIR --json benchmarks/decoding.json

DIR holds photographs, a folder a class. Times are CPU milliseconds for one photograph, the median
of alternating rounds. `image` is what evaluation needs of a reader, an image that Pillow can
resize; `resize` is what comes after it. The kinds of files are made from one of the photographs.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image
from torchvision.io import ImageReadMode, decode_jpeg

from zoo.data.preprocessing import Preprocessing, ToPixels

SETTINGS = Preprocessing(input_size=(3, 224, 224), mean=(0.5,) * 3, std=(0.5,) * 3)


def pillow(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def torchvision(content: bytes) -> torch.Tensor:
    """uint8 (3, H, W)."""
    return decode_jpeg(torch.frombuffer(bytearray(content), dtype=torch.uint8), ImageReadMode.RGB)


def torchvision_image(content: bytes) -> Image.Image:
    return Image.fromarray(torchvision(content).permute(1, 2, 0).contiguous().numpy())


def kinds(content: bytes) -> dict[str, bytes]:
    """Files of every kind that evaluation may meet."""
    image = pillow(content)
    turned = Image.Exif()
    turned[0x0112] = 6
    made: dict[str, tuple[Image.Image, dict[str, Any]]] = {
        "progressive": (image, {"progressive": True}),
        "not subsampled": (image, {"subsampling": 0}),
        "grey": (image.convert("L"), {}),
        "CMYK": (image.convert("CMYK"), {}),
        "EXIF orientation": (image, {"exif": turned}),
    }
    found = {"as it is": content, "truncated": content[: len(content) // 2]}
    for name, (picture, options) in made.items():
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=90, **options)
        found[name] = file.getvalue()
    return found


def compared(content: bytes) -> str:
    """Whether both readers say the same: equal, both refuse, or how they differ."""
    results: list[Any] = []
    for read in (lambda: np.array(pillow(content).convert("RGB")),
                 lambda: np.array(torchvision_image(content))):  # fmt: skip
        try:
            results.append(read())
        except Exception:
            results.append(None)
    first, second = results
    if first is None or second is None:
        reader = "Pillow" if second is None else "torchvision"
        return "both refuse" if first is second else f"only {reader} reads it"
    if first.shape != second.shape:
        return f"shapes differ: {first.shape}, {second.shape}"
    moved = int(np.abs(first.astype(int) - second).max())
    return "equal" if not moved else f"differ by up to {moved} of 255"


def milliseconds(steps: dict[str, Callable[[int], Any]], count: int, rounds: int) -> dict[str, Any]:
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            start = time.process_time()
            for index in range(count):
                step(index)
            taken[name].append((time.process_time() - start) * 1000 / count)
    return {name: median(times) for name, times in taken.items()}


def show(result: dict[str, Any], file: str | None) -> None:
    """Print the result, and write it to the file if there is one."""
    text = json.dumps(result, indent=2)
    print(text)
    if file:
        Path(file).write_text(text + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", metavar="FILE")
    args = parser.parse_args()
    torch.set_num_threads(1)
    files = [file.read_bytes() for file in sorted(args.data.glob("*/*")) if file.is_file()]
    images, resize = [pillow(content) for content in files], ToPixels(SETTINGS)
    steps = {
        "pillow image": lambda i: pillow(files[i]),
        "torchvision tensor": lambda i: torchvision(files[i]),
        "torchvision image": lambda i: torchvision_image(files[i]),
        "resize": lambda i: resize(images[i]),
    }
    result = {
        "photographs": len(files),
        "equal": sum(compared(content) == "equal" for content in files),
        "kinds": {name: compared(content) for name, content in kinds(files[0]).items()},
        "milliseconds": milliseconds(steps, len(files), args.rounds),
        "rounds": args.rounds,
        "load": os.getloadavg(),
    }
    show(result, args.json)


if __name__ == "__main__":
    main()

"""Images of every depth, against torchvision's conversion and Pillow's of bytes."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2.functional import to_dtype

from zoo.data.modes import to_mode
from zoo.data.parquet import Parquet
from zoo.data.preprocessing import Preprocessing, ToPixels

RAMP = np.linspace(0, 65535, 48).astype(np.uint16).reshape(6, 8)


def stored(array: np.ndarray, form: str) -> Image.Image:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, form)
    return Image.open(buffer)


def of(image: Image.Image, mode: str = "L") -> np.ndarray:
    return np.asarray(to_mode(image, mode))


@pytest.mark.parametrize("form", ["PNG", "TIFF", "PPM", "JPEG2000"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_sixteen_bits_become_eight(form, mode):
    expected = to_dtype(torch.from_numpy(RAMP), torch.uint8, scale=True).numpy()
    found = of(stored(RAMP, form), mode)
    assert np.array_equal(found if mode == "L" else found[..., 1], expected)


def test_twelve_bits_become_eight():
    """A TIFF whose samples have twelve bits, two in three bytes, as cameras write it."""
    values = np.array([[0, 4095, 2048, 16]], np.uint16)
    pairs = values.reshape(-1, 2)
    packed = b"".join(bytes([a >> 4, (a & 15) << 4 | b >> 8, b & 255]) for a, b in pairs.tolist())
    image = Image.open(io.BytesIO(tiff(packed, width=4, bits=12)))
    assert of(image).tolist() == [[0, 255, 128, 1]]


def tiff(content: bytes, width: int, bits: int) -> bytes:
    """A grey image of one row, by the TIFF 6.0 specification."""
    tags = {256: width, 257: 1, 258: bits, 259: 1, 262: 1, 273: 8, 277: 1, 278: 1,
            279: len(content)}  # fmt: skip
    data = content + b"\0" * (len(content) % 2)
    head = b"II*\0" + (8 + len(data)).to_bytes(4, "little") + data
    entries = b"".join(
        tag.to_bytes(2, "little") + b"\4\0\1\0\0\0" + value.to_bytes(4, "little")
        for tag, value in tags.items()
    )
    return head + len(tags).to_bytes(2, "little") + entries + b"\0" * 4


def test_floats_from_zero_to_one():
    values = np.linspace(0, 1, 48, dtype=np.float32).reshape(6, 8)
    found = of(stored(values, "TIFF"))
    assert np.abs(found / 255 - values).max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize(
    "array",
    [
        np.full((2, 2), 70000, np.int32),
        np.full((2, 2), 200, np.int32),
        np.array([[0, 255.0]], np.float32),
        np.array([[-0.5, 0.5]], np.float32),
        np.array([[0.5, np.nan]], np.float32),
        np.array([[0.5, np.inf]], np.float32),
    ],
    ids=str,
)
def test_what_has_no_known_range_is_refused(array):
    with pytest.raises(ValueError, match="range|expected"):
        of(stored(array, "TIFF"))


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK", "YCbCr", "HSV", "RGB"])
@pytest.mark.parametrize("wanted", ["L", "RGB"])
def test_bytes_are_pillows(mode, wanted):
    noise = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    image = Image.fromarray(noise).convert("RGBA" if mode == "LA" else "RGB").convert(mode)
    assert np.array_equal(of(image, wanted), np.asarray(image.convert(wanted)))


@pytest.mark.parametrize("transparency", [0, b"\x00\x80\xff"], ids=["one", "table"])
def test_a_palette_with_transparency_keeps_its_colours(transparency):
    """Pillow warns of a table; its advice is RGBA, whose colours these are."""
    image = Image.new("P", (3, 1))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.putdata([0, 1, 2])
    buffer = io.BytesIO()
    image.save(buffer, "PNG", transparency=transparency)
    found = of(Image.open(buffer), "RGB")
    assert found.tolist() == [[[255, 0, 0], [0, 255, 0], [0, 0, 255]]]


@pytest.mark.parametrize("mode", ["La", "RGBa"])
def test_premultiplied_images(mode):
    image = Image.new(mode, (2, 2), (100,) * (len(mode) - 1) + (255,))
    assert of(image, "RGB").tolist() == [[[100] * 3] * 2] * 2


def test_sixteen_bits_in_parquet_reach_the_model(tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(np.full((4, 4), 0x4000, np.uint16)).save(buffer, "PNG")
    rows = {"image": [{"bytes": buffer.getvalue(), "path": None}], "label": [0]}
    pq.write_table(pa.table(rows), tmp_path / "test.parquet")
    settings = Preprocessing(input_size=(3, 4, 4), mean=(0.5,) * 3, std=(0.5,) * 3)
    assert set(ToPixels(settings)(Parquet(tmp_path)[0][0]).flatten().tolist()) == {0x40}

"""From an image to what a model takes, against timm's own transforms."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from random_pictures import Noise
from timm.data import create_transform, resolve_data_config

from zoo.data.preprocessing import ToPixels
from zoo.errors import DataError, OptionError
from zoo.evaluation import Preprocessing


class TestPreprocessing:
    @pytest.mark.parametrize("mode", ["center", "squash", "border"])
    @pytest.mark.parametrize("size", [(3, 32, 32), (3, 32, 48), (1, 28, 28)])
    @pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
    def test_pixels_are_timms(self, mode, size, interpolation):
        settings = Preprocessing(
            input_size=size, mean=(0.4,) * size[0], std=(0.2,) * size[0],
            interpolation=interpolation, crop_pct=0.9, crop_mode=mode,
        )  # fmt: skip
        image = Image.fromarray(Noise(1).images[0])
        expected = create_transform(
            size, is_training=False, mean=settings.mean, std=settings.std,
            interpolation=interpolation, crop_pct=0.9, crop_mode=mode,
        )(image.convert("RGB" if size[0] == 3 else "L"))  # fmt: skip
        pixels = torch.from_numpy(ToPixels(settings)(image))[None]
        assert pixels.dtype == torch.uint8
        torch.testing.assert_close(settings.normalise(pixels)[0], expected, rtol=0, atol=1e-6)

    def test_the_batch_is_channels_last_in_memory(self):
        settings = Preprocessing(input_size=(3, 4, 4), mean=(0.5,) * 3, std=(0.5,) * 3)
        x = settings.normalise(torch.zeros(2, 4, 4, 3, dtype=torch.uint8))
        assert x.is_contiguous(memory_format=torch.channels_last)

    def test_a_grey_model_gets_grey_images(self):
        settings = Preprocessing.of(timm.create_model("resnet18", in_chans=1))
        assert settings.input_size[0] == 1
        assert settings.mean == (pytest.approx((0.485 + 0.456 + 0.406) / 3),)
        assert ToPixels(settings)(Image.new("RGB", (300, 300))).shape == (224, 224, 1)

    def test_test_size_is_timms(self):
        model = timm.create_model("resnet50")
        assert Preprocessing.of(model).input_size == (3, 224, 224)
        expected = resolve_data_config({}, model=model, use_test_size=True)
        assert Preprocessing.of(model, test_size=True).input_size == expected["input_size"]

    def test_how_images_are_resized_is_no_chance(self):
        with pytest.raises(OptionError, match="there is no interpolation 'random'"):
            Preprocessing.of(timm.create_model("test_resnet"), interpolation="random")

    def test_five_channels_are_refused(self):
        with pytest.raises(DataError, match="5 channels"):
            Preprocessing.of(timm.create_model("resnet18", in_chans=5))

    def test_paletted_and_transparent_images(self):
        settings = Preprocessing(input_size=(3, 8, 8), mean=(0.5,) * 3, std=(0.5,) * 3)
        for mode in ("P", "RGBA", "L", "CMYK"):
            assert ToPixels(settings)(Image.new(mode, (9, 12))).shape == (8, 8, 3)

    def test_arrays_are_read_as_the_pictures_that_they_are(self):
        settings = Preprocessing(
            input_size=(1, 8, 8), mean=(0.5,), std=(0.5,), crop_pct=1.0, interpolation="nearest"
        )
        grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
        for image in (grey, grey[..., None], Image.fromarray(grey)):
            assert np.array_equal(ToPixels(settings)(image)[..., 0], grey)
        for wrong in (grey.astype(np.float32), grey[0], grey[None, None]):
            with pytest.raises(ValueError, match="neither a PIL image nor uint8"):
                ToPixels(settings)(wrong)

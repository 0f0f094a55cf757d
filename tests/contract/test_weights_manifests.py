"""The zoo's own manifests: right in form, and of networks that timm and the zoo build alike."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch

import zoo
import zoo.timm_bridge
from zoo.errors import CorruptWeightsError, WeightsNotFoundError
from zoo.recipes import load_recipe
from zoo.registry import default_registry, timm_index
from zoo.registry.catalogue import taken
from zoo.registry.names import parse
from zoo.registry.specs import WeightsSpec
from zoo.weights import manifests
from zoo.weights.verified_file import bundled_file

FOLDER = Path(__file__).resolve().parents[2] / "weights" / "zoo_weights"
PATHS = sorted(FOLDER.glob("*.toml"))
SPECS = [manifests.read(path) for path in PATHS]
UNPUBLISHED = [spec for spec in SPECS if spec.kind == "unpublished"]
BUNDLED = [spec for spec in SPECS if spec.kind == "bundled"]
PUBLISHED = {spec.model: spec for spec in SPECS if spec.kind == "published"}


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_manifest_is_named_for_what_it_states(path: Path) -> None:
    spec = manifests.read(path)
    assert path.stem == f"{spec.model}.{spec.tag}"
    assert parse(spec.model, default_registry()).name == spec.model
    assert spec.license and spec.data
    if spec.kind in ("published", "warm_start"):
        architecture, _, tag = spec.repository.removeprefix("timm/").partition(".")
        assert tag in timm_index.architectures()[architecture]


def test_a_model_has_one_default() -> None:
    for model in {spec.model for spec in SPECS}:
        defaults = [spec.tag for spec in SPECS if spec.model == model and spec.default]
        assert len(defaults) == 1, model


@pytest.mark.parametrize("spec", UNPUBLISHED, ids=lambda spec: f"{spec.model}.{spec.tag}")
def test_what_is_not_published_says_which_recipe_trains_it(spec: WeightsSpec) -> None:
    recipe = load_recipe(spec.recipe).last
    assert recipe.model == spec.model and spec.recipe in spec.notes
    channels = recipe.model_options.get("in_chans", spec.input["input_size"][0])
    assert spec.input["input_size"][0] == channels
    assert ("synthetic" in spec.data) == recipe.data.name.startswith("synthetic")
    asked = [f"{spec.model}.{spec.tag}", *([spec.model] if spec.default else [])]
    for name in asked:
        with pytest.raises(WeightsNotFoundError, match="not published") as caught:
            zoo.create_model(name, pretrained=True)
        assert caught.value.remedy == f"zoo train {spec.recipe}"


def test_weights_that_are_not_the_default_are_never_taken_in_its_place() -> None:
    """Of other data they are another model, so only their tag gives them, in timm too."""
    available = {spec.model: spec for spec in BUNDLED if not spec.default}
    instead = {spec.model for spec in UNPUBLISHED if spec.default} & available.keys()
    assert instead
    listed = zoo.list_models(pretrained=True)
    for model in instead:
        tagged = f"{model}.{available[model].tag}"
        assert zoo.create_model(tagged, pretrained=True).zoo.weights["source"] == "bundled"
        assert model not in listed and tagged in timm.list_pretrained()
        for create in (zoo.create_model, timm.create_model):
            with pytest.raises(WeightsNotFoundError, match="not published"):
                create(model, pretrained=True)


def test_where_no_weights_are_the_default_any_are_taken() -> None:
    first, second = (replace(BUNDLED[0], tag=tag, default=False) for tag in "ab")
    assert taken([first, second]) == [first, second]
    assert taken([first, replace(second, default=True)]) == [replace(second, default=True)]
    assert taken([first, second], "b") == [second]


@pytest.mark.parametrize("spec", BUNDLED, ids=lambda spec: f"{spec.model}.{spec.tag}")
def test_bundled_weights_bring_the_options_they_were_trained_with(spec: WeightsSpec) -> None:
    recipe = load_recipe(spec.recipe).last
    options = zoo.create_model(f"{spec.model}.{spec.tag}", pretrained=True).zoo.options
    assert {**recipe.model_options, **spec.options}.items() <= options.items()


@pytest.mark.parametrize("spec", [spec for spec in SPECS if spec.recipe], ids=lambda s: s.model)
def test_weights_are_measured_on_the_data_of_their_recipe(spec: WeightsSpec) -> None:
    assert spec.dataset == load_recipe(spec.recipe).last.data.name
    assert spec.dataset in default_registry().datasets


def test_a_bundled_file_that_was_changed_is_refused() -> None:
    """The manifest's digest is compared with the file's own content."""
    spec = next(spec for spec in BUNDLED if spec.model == "ram_mnist")
    bundled_file(spec).close()
    with pytest.raises(CorruptWeightsError, match="have been changed") as caught:
        bundled_file(replace(spec, sha256="0" * 64))
    assert spec.sha256 in str(caught.value)


def test_options_of_the_call_win_over_those_of_the_weights() -> None:
    spec = next(spec for spec in BUNDLED if "mc_samples" in spec.options)
    model = zoo.create_model(spec.model, weights=spec.tag, mc_samples=2)
    assert model.mc_samples == 2 != spec.options["mc_samples"]


@pytest.mark.parametrize(
    "name",
    ["ram_mnist", "ram_mnist_translated", "ram_mnist_cluttered60", "ram_mnist_cluttered100"],
)
def test_ram_starts_anywhere_as_in_the_paper_unless_its_weights_are_named(name: str) -> None:
    assert zoo.create_model(name).first_spread == 1
    assert zoo.create_model(name, pretrained=True).first_spread == 1
    near = zoo.create_model(f"{name}.zoo_mnist", pretrained=True)
    assert near.first_spread == 0.3 and near.draw_start.abs().max() <= 0.3


def test_a_wrong_manifest_does_not_hide_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('model = "a"\n')
    (tmp_path / "b.b.toml").write_text('model = "b"\ntag = "b"\nkind = "unpublished"\n')
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert [spec.model for spec in manifests.read_folder(tmp_path)] == ["b"]
    assert "a.toml" in str(caught[0].message)


def shapes(model: torch.nn.Module) -> dict[str, torch.Size]:
    return {key: value.shape for key, value in model.state_dict().items()}


def case(spec: WeightsSpec) -> object:
    marks = [pytest.mark.slow] if "101" in spec.model or "152" in spec.model else []
    return pytest.param(spec, id=spec.model, marks=marks)


@pytest.mark.parametrize("spec", [case(spec) for spec in PUBLISHED.values()])
def test_published_files_fit_as_they_are(spec: WeightsSpec) -> None:
    """Same parameter names and shapes as timm's model, and the same function."""
    theirs = timm.create_model(spec.repository.removeprefix("timm/")).eval()
    ours = zoo.create_model(spec.model).eval()
    assert shapes(ours) == shapes(theirs)
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.allclose(ours(images), theirs(images), rtol=1e-5, atol=1e-5)

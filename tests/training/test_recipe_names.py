"""Recipes by name: the zoo's own say what was run, a plugin brings others, and `zoo train` takes
either, a file, or a model.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

import zoo
from zoo.cli import cli
from zoo.errors import PluginWarning, RecipeError, SpecError, UnknownNameError, UsageError
from zoo.recipes import Recipe, load_recipe, recipe_of
from zoo.registry import Registry, default_registry
from zoo.registry.names import parse
from zoo.registry.recipes import find_recipe, makes, summary_of
from zoo.registry.specs import RecipeSpec

BUNDLED = [w for w in default_registry().weights.values() if w.kind == "bundled"]


def train(*arguments: str) -> BaseException | None:
    return CliRunner().invoke(cli, ["train", *arguments]).exception


@pytest.mark.parametrize("name", zoo.list_recipes())
def test_the_recipes_of_the_project_name_what_there_is(name):
    recipe, registry = load_recipe(name), default_registry()
    assert recipe.name == name and recipe.notes
    for stage in recipe.stages:
        assert stage.data.name in registry.datasets
        assert parse(stage.model, registry).name == stage.model
        model, _, tag = stage.weights.partition(".")
        assert not stage.weights or registry.weights[model, tag].kind == "bundled"


@pytest.mark.parametrize("weights", BUNDLED, ids=lambda w: f"{w.model}.{w.tag}")
def test_bundled_weights_name_the_recipe_that_made_them(weights):
    spec = find_recipe(f"{weights.model}.{weights.tag}", default_registry())
    assert spec is not None and f"{weights.model}.{weights.tag}" in makes(spec, default_registry())
    recipe = zoo.load_recipe(f"{weights.model}.{weights.tag}")
    assert (recipe.last.model, recipe.last.data.name) == (weights.model, weights.dataset)
    if weights.default:  # a recipe of the model's name makes what `pretrained=True` takes
        assert load_recipe(weights.model) == recipe


def told(recipe: Recipe) -> Recipe:
    return replace(recipe, notes="", save_half=False)


@pytest.mark.parametrize(
    ("longer", "shorter"),
    [
        ("dram_mnist_addition", "dram_mnist_pairs"),
        ("ram_mnist_cluttered100_near_centre", "ram_mnist_clutter_seed100_near_centre"),
    ],
)
def test_a_recipe_that_goes_on_from_another_begins_with_its_stages(longer, shorter):
    stages, begin = load_recipe(longer).stages, load_recipe(shorter).stages
    assert list(map(told, stages[: len(begin)])) == list(map(told, begin))
    assert len(stages) > len(begin)


@pytest.mark.parametrize("name", zoo.list_recipes())
def test_a_listing_says_of_a_recipe_what_it_has(name):
    """The listing reads the file by itself, without checking it."""
    recipe = load_recipe(name)
    data, epochs, sentence = summary_of(default_registry().recipes[name])
    assert data.split(", ") == list(dict.fromkeys(stage.data.name for stage in recipe.stages))
    assert [int(n) for n in epochs.split(" + ")] == [stage.epochs for stage in recipe.stages]
    assert " ".join(recipe.notes.split()).startswith(sentence.removesuffix(" [...]"))


def test_they_are_listed_without_torch():
    done = CliRunner().invoke(cli, ["list", "--recipes", "ram_mnist_near_centre"])
    (line,) = done.output.splitlines()
    assert "200 + 110 epochs" in line and "ram_mnist.zoo_mnist" in line
    (never,) = CliRunner().invoke(cli, ["list", "--recipes", "stn_svhn"]).output.splitlines()
    assert "stn_svhn.zoo_svhn (not made yet)" in never
    assert isinstance(
        CliRunner().invoke(cli, ["list", "--recipes", "--composed"]).exception, UsageError
    )


def test_close_names_are_suggested():
    with pytest.raises(UnknownNameError, match="did you mean ram_mnist") as caught:
        load_recipe("ram_mnits")
    assert "zoo list --recipes" in caught.value.remedy
    said = train("ram_mnits")
    assert isinstance(said, UnknownNameError)
    assert "no recipe and no model 'ram_mnits'; did you mean ram_mnist" in str(said)


def test_a_model_without_data_and_without_a_recipe_is_asked_for_its_images():
    said = train("resnet18")
    assert isinstance(said, UsageError) and "zoo train resnet18 --data DIR" in str(said)


def test_a_recipe_by_name_is_written_as_it_is(tmp_path):
    """`stn_mnist` is no recipe's name, but that of weights that one makes."""
    file = tmp_path / "mine.toml"
    assert train("stn_mnist", "--save-recipe", str(file)) is None
    source = zoo.load_recipe("stn_mnist_r")
    assert file.read_bytes() == source.text and recipe_of(file).stages == source.stages
    assert "--epochs is for a MODEL" in str(train("stn_mnist", "--epochs", "3"))


def test_with_data_a_name_is_a_models(tmp_path):
    """A model and a recipe share the name: the same call fine-tuned before there were names."""
    file = tmp_path / "mine.toml"
    folder = tmp_path / "flowers"
    folder.mkdir()
    assert train("ram_mnist", "--data", str(folder), "--save-recipe", str(file)) is None
    assert recipe_of(file).single().data.name == "flowers"
    assert train("--recipe", "ram_mnist", "--data", str(folder), "--save-recipe", str(file)) is None
    assert recipe_of(file).stages == load_recipe("ram_mnist").stages


def test_what_a_name_means_otherwise_is_said(tmp_path):
    data = str(tmp_path)
    assert f"zoo train --recipe ram_mnist --data {data}" in str(train("ram_mnist", "--data", data))
    assert f"zoo train --recipe stn_mnist_e --data {data}" in str(
        train("stn_mnist_e", "--data", data)
    )
    assert "what is to be trained" in str(train())
    assert "both say" in str(train("ram_mnist", "--recipe", "stn_mnist_r"))


def test_the_path_of_before_says_the_name_of_today():
    with pytest.raises(RecipeError, match="zoo train ram_mnist, without"):
        recipe_of("weights/recipes/ram_mnist.toml")
    with pytest.raises(RecipeError) as caught:
        recipe_of("weights/recipes/nothing.toml")
    assert caught.value.remedy == ""


@pytest.fixture
def plugin(tmp_path, monkeypatch) -> ModuleType:
    """A third party's package with two recipes beside its code."""
    folder = tmp_path / "zoo_x_recipes"
    (folder / "recipes").mkdir(parents=True)
    (folder / "__init__.py").write_text(
        "import zoo\n@zoo.hookimpl\ndef zoo_recipes():\n"
        "    return [*zoo.RecipeSpec.in_folder(__name__),\n"
        "            zoo.RecipeSpec(name='lost', path='zoo_x_recipes:absent.toml')]\n"
    )
    for name in ("mine", "stn_mnist_r"):
        (folder / "recipes" / f"{name}.toml").write_text('model = "ram_mnist"\n')
    (folder / "recipes" / "README.md").write_text("not a recipe")
    monkeypatch.syspath_prepend(str(tmp_path))
    import zoo_x_recipes

    yield zoo_x_recipes
    del sys.modules["zoo_x_recipes"]


def test_a_plugin_brings_recipes_and_takes_no_name(plugin):
    with pytest.warns(
        PluginWarning, match="'stn_mnist_r' is already claimed by plugin zoo-weights"
    ):
        registry = Registry(plugins=[plugin])
        assert registry.recipes.keys() - set(zoo.list_recipes()) == {"mine"}
    assert registry.recipes["mine"].read() == b'model = "ram_mnist"\n'
    (row,) = [row for row in registry.plugins if row.module is plugin]
    assert any("'lost' is left out: there is no file absent.toml" in p for p in row.problems)


def test_a_plugins_wrong_recipe_is_named(plugin, monkeypatch):
    spec = RecipeSpec(name="mine", path="zoo_x_recipes:recipes/mine.toml")
    monkeypatch.setattr("zoo.recipes.staged.recipe_named", lambda name, registry: spec)
    with pytest.raises(RecipeError, match="missing key epochs") as caught:
        load_recipe("mine")
    assert caught.value.where == "zoo_x_recipes:recipes/mine.toml"


@pytest.mark.parametrize(
    ("name", "path"),
    [("Not a name", "a:b.toml"), ("a", "b.toml"), ("a", "a:b.txt"), ("a", ":b.toml")],
)
def test_a_wrong_spec_is_refused(name, path):
    with pytest.raises(SpecError):
        RecipeSpec(name=name, path=path)


def test_a_missing_package_is_no_crash():
    assert "cannot be found" in RecipeSpec(name="a", path="zoo_x_nowhere:a.toml").missing()
    assert summary_of(RecipeSpec(name="a", path="zoo_x_nowhere:a.toml"))[2].startswith("cannot be")


def test_files_still_train_as_before():
    old = Path(__file__).parents[1] / "old_files" / "run" / "recipe.toml"
    assert recipe_of(old).single() == recipe_of(str(old)).last

"""The rules of the tree, read off the imports: who may know whom, and where torch may be."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ZOO, PLUGINS = ROOT / "zoo", ROOT / "plugins" / "zoo_plugins"
FACE = ("__init__", "__main__", "errors", "version", "timm_bridge")  # the public face
HEAVY = ("torch", "timm", "torchvision")

# What each package may import of the others. Errors and the version are everybody's.
MAY_IMPORT = {
    "runtime": set(),
    "registry": set(),
    "sdk": {"registry", "runtime"},
    "weights": {"registry", "runtime"},
    "hub": {"registry", "runtime", "weights"},
    "insertion": {"registry", "runtime", "sdk"},
    "build": {"registry", "runtime", "weights", "hub", "insertion"},
    "hosts": {"registry", "runtime", "insertion", "build"},
    "adapters": {"registry", "runtime", "weights", "hub", "build", "hosts"},
    "data": {"registry", "runtime"},
    "export": {"runtime", "hosts", "data"},
    "explain": {"registry", "runtime", "data", "insertion", "hosts"},
    "evaluation": {"registry", "runtime", "weights", "build", "data", "explain"},
    "recipes": {"registry", "data"},
    "feeding": {"registry", "runtime", "data", "recipes"},
    "training": {"registry", "runtime", "weights", "build", "hosts", "data", "recipes", "feeding"},
    "compare": {"registry", "runtime", "data", "recipes", "feeding", "training"},
    "reference": {"registry", "runtime", "weights", "build"},
    "publish": {
        "registry", "runtime", "weights", "hub", "build", "adapters", "recipes", "training",
    },
    "testing": {"registry", "runtime", "build", "insertion"},
}  # fmt: skip

# Imports within functions, each with its reason. Commands may do so, to answer quickly.
LATE = {
    "zoo/registry/timm_index.py": "timm is only asked where its version has no list beside it",
    "zoo/hub/timm_weights.py": "a plan is made without timm where its own list is enough",
    "zoo/weights/safetensors_file.py": "a file is looked at (zoo pull, zoo cache) without torch",
    "zoo/publish/package.py": "a package that is ready is sent without torch",
    "zoo/build/weights_choice.py": "a plan needs the Hub's client only for weights of the Hub",
    "zoo/adapters/load.py": "a file on the disk needs no client of the Hub",
    "zoo/data/classes.py": "the names of classes are matched without timm where there are none",
    "zoo/data/resolve.py": "pyarrow is needed for parquet files alone",
    "zoo/explain/__init__.py": "plugins import zoo.explain.glimpses alone, without all the rest",
    "zoo/explain/record.py": "an explanation draws itself, and what draws knows explanations",
    "zoo/sdk/fused/launch.py": "Triton is imported only where a kernel runs",
    "zoo/training/board.py": "TensorBoard is an extra, imported where it is asked for",
    "zoo/data/vocabulary.py": "ImageNet's names are asked for only where classes are words",
}

# What a plugin imports is what a third party may import.
FOR_PLUGINS = (
    "zoo.sdk", "zoo.registry.specs", "zoo.registry.hookspecs", "zoo.errors", "zoo.runtime.moved",
    "zoo.training.objective", "zoo.data", "zoo.explain.glimpses", "zoo.weights.keymaps",
)  # fmt: skip


@dataclass(frozen=True)
class Import:
    """One import statement: where it is, what it names, and whether a function holds it."""

    file: str
    line: int
    module: str
    late: bool

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.module}"


def imports(folder: Path) -> Iterator[Import]:
    """Every import of a folder, but for those of type checkers alone."""
    for path in sorted(folder.rglob("*.py")):
        file = path.relative_to(ROOT if ROOT in path.parents else folder).as_posix()
        yield from _of(ast.parse(path.read_text("utf-8")), file.removeprefix("plugins/"), False)


def _of(node: ast.AST, file: str, late: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        if isinstance(child, ast.Import):
            yield from (Import(file, child.lineno, name.name, late) for name in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module:
            inner = child.module == "zoo"  # from zoo import names: a package, or the public face
            names = [f"zoo.{name.name}" for name in child.names] if inner else [child.module]
            yield from (Import(file, child.lineno, name, late) for name in names)
        else:
            inside = late or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            yield from _of(child, file, inside)


def package(module: str) -> str:
    """The package of the zoo that a module is of; empty for the public face."""
    parts = module.removesuffix(".py").replace("/", ".").split(".")
    return parts[1] if len(parts) > 1 and parts[1] not in FACE and (ZOO / parts[1]).is_dir() else ""


OURS = list(imports(ZOO))


def test_the_packages_are_those_of_the_table() -> None:
    found = {path.name for path in ZOO.iterdir() if (path / "__init__.py").exists()}
    assert found == MAY_IMPORT.keys() | {"cli"}
    assert {path.stem for path in ZOO.glob("*.py")} == set(FACE)


@pytest.mark.parametrize("name", MAY_IMPORT)
def test_a_package_knows_only_what_it_may(name: str) -> None:
    wrong = [
        str(each)
        for each in OURS
        if package(each.file) == name and each.module.split(".")[0] in ("zoo", "zoo_plugins")
        if each.module.startswith("zoo_plugins") or package(each.module) not in
        {"", name, *MAY_IMPORT[name]}
    ]  # fmt: skip
    assert wrong == []


def test_no_package_is_imported_back() -> None:
    TopologicalSorter(MAY_IMPORT).prepare()  # raises CycleError


def test_the_registry_imports_no_torch() -> None:
    heavy = [
        each
        for each in OURS
        if package(each.file) == "registry" and each.module.split(".")[0] in HEAVY
    ]
    assert [str(each) for each in heavy if each.file not in LATE] == []
    assert all(each.late for each in heavy)


def test_imports_within_functions_have_a_reason() -> None:
    late = {each.file for each in OURS if each.late and package(each.file) != "cli"}
    own = {each for each in late if any(i.late and i.file == each and _counts(i) for i in OURS)}
    assert own - {"zoo/__init__.py"} == LATE.keys()


def _counts(each: Import) -> bool:
    return each.module.split(".")[0] in ("zoo", "zoo_plugins", *HEAVY)


def test_plugins_import_what_a_third_party_could() -> None:
    wrong = [
        str(each)
        for each in imports(PLUGINS)
        if each.module.split(".")[0] == "zoo" and package(each.module)
        if not any(each.module == open_ or each.module.startswith(f"{open_}.")
                   for open_ in FOR_PLUGINS)
    ]  # fmt: skip
    assert wrong == []

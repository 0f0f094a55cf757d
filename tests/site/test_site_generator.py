"""The rooms of the generator, on a few mechanisms: equations, drawings, pictures, pages."""

from __future__ import annotations

import json
import posixpath
import re
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from torch import nn
from website import (
    copied,
    docstrings,
    drawings,
    equations,
    gallery,
    hooks,
    mechanism_page,
    records,
    studies,
    troubleshooting,
)
from website import write as writing
from website.flow.layout import placed
from website.flow.trace import trace
from website.pictures import colours, effects, features

import zoo
from zoo.registry import default_registry
from zoo.testing import trial

pytestmark = pytest.mark.long

REGISTRY = default_registry()
TAGS = re.compile(r"<[^>]+>")


def tags(html: str) -> list[str]:
    return [node.tag for node in ElementTree.fromstring(html).iter()]


def test_an_equation_is_set_as_mathematics() -> None:
    html = equations.math("y_i = sum_j softmax_j(d^-1/2 q_i . k_j) v_j")
    assert tags(html).count("msub") == 5 and "munder" in tags(html) and "msup" in tags(html)
    assert "∑" in html and "⋅" in html and "−" in html
    assert "<msqrt>" in equations.math("x / sqrt(N)") and "σ" in equations.math("sigma' = 1")


@pytest.mark.parametrize(
    ("cell", "is_words"),
    [("over the positions", True), ("(eq. 3)", True), ("y = x * a", False), ("(B, C, 1, 1)", False),
     ("sigmoid(BN(x))", False), ("shared by all the heads", True)],
)  # fmt: skip
def test_words_are_told_from_equations(cell: str, is_words: bool) -> None:
    assert equations.is_words(cell) is is_words


def letters(text: str) -> str:
    """The letters and digits of a text, Greek ones by their first letter: 3x3 is set as 3×3."""
    for name, sign in sorted(equations.GREEK.items(), key=lambda item: -len(item[0])):
        text = re.sub(rf"(?<![A-Za-z]){name}(?![A-Za-z])", name[0], text).replace(sign, name[0])
    return re.sub(r"[\W_×x]|sum|prod|sqrt", "", text)


def test_no_letter_or_number_of_a_docstring_is_lost() -> None:
    """All equations of all mechanisms are well-formed, and say what their source says."""
    for target in sorted({spec.target for spec in REGISTRY.attentions.values()}):
        text = docstrings.head(target)
        html = docstrings.html(text)
        ElementTree.fromstring(f"<div>{html}</div>")
        said, given = unescape(TAGS.sub(" ", html)), text.partition("\n")[2]
        assert sorted(letters(said)) == sorted(letters(given)), target


def test_a_drawing_has_the_steps_that_torch_fx_finds() -> None:
    module = zoo.create_attention("se", channels=64).eval()
    nodes = trace(module, (torch.rand(1, 64, 8, 8),))
    steps = [node.label.partition(":")[0] for node in nodes]
    assert steps == ["x", "mean", "fc1", "act", "fc2", "gate", "×", "y"]
    assert [n.label for n in nodes[6].sources] == ["x", "gate: Sigmoid"]
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    expected = len(torch.fx.symbolic_trace(network).graph.nodes)
    assert len(trace(network, (torch.rand(1, 3),))) == expected


def test_what_changes_a_tensor_in_place_is_drawn() -> None:
    class Written(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = torch.zeros(2, 3)
            y[0] = x[0].sin()
            return y

    labels = [node.label for node in trace(Written(), (torch.rand(1, 3),))]
    assert labels[0] == "constant" or "x" in labels
    assert {"x", "sin", "write", "y"} <= set(labels)


@pytest.mark.parametrize("name", ["cbam", "double_attention"])
def test_boxes_do_not_overlap_and_lines_go_down(name: str) -> None:
    spec = REGISTRY.attentions[name]
    nodes = trace(trial.build(spec), trial.sample(spec, batch=1))
    grid = placed(nodes, [80.0] * len(nodes))
    for row in grid:
        for left, right in zip(row, row[1:], strict=False):
            assert right.x - left.x >= (left.width + right.width) / 2
        assert all(below.row == place.row + 1 for place in row for below in place.below)
    assert sum(place.node is not None for row in grid for place in row) == len(nodes)


class Scaled(nn.Module):
    """y = x s, with a scale that is the same everywhere, or 0 to 1 over the rows."""

    def __init__(self, rows: bool) -> None:
        super().__init__()
        self.rows = rows

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        size = x.shape[-1]
        return x * (torch.linspace(0.1, 1, size)[:, None] if self.rows else 0.3)


@pytest.fixture
def spec(monkeypatch: pytest.MonkeyPatch) -> zoo.AttentionSpec:
    """A mechanism whose module a test sets as `spec_module`."""
    return zoo.AttentionSpec(name="tried", target="nowhere:Nothing")


def effect_of(module: nn.Module, spec: zoo.AttentionSpec, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(trial, "build", lambda *args, **kwargs: module)
    found = effects.effect(spec)
    assert found is not None
    return found


def test_a_constant_is_said_to_be_one(
    spec: zoo.AttentionSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = effect_of(Scaled(rows=False), spec, monkeypatch)
    assert found.says_nothing and found.kind == "gain"
    assert torch.allclose(found.maps, torch.tensor(0.3))


def test_a_gain_is_what_the_gate_is(
    spec: zoo.AttentionSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = effect_of(Scaled(rows=True), spec, monkeypatch)
    expected = torch.linspace(0.1, 1, effects.SIZE)[:, None].expand_as(found.maps)
    assert found.kind == "gain" and torch.allclose(found.maps, expected, atol=1e-5)


def test_influence_reaches_as_far_as_a_kernel(
    spec: zoo.AttentionSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    conv = nn.Conv2d(features.CHANNELS, features.CHANNELS, 5, padding=2)
    found = effect_of(conv, spec, monkeypatch)
    assert found.kind == "influence"
    row, column = found.position
    rows, columns = torch.nonzero(found.maps[0], as_tuple=True)
    assert (rows.min(), rows.max()) == (row - 2, row + 2)
    assert (columns.min(), columns.max()) == (column - 2, column + 2)
    assert found.maps[0, row, column] == 0 and found.maps.max() == 1


def test_what_hardly_varies_is_not_blown_up() -> None:
    values = 0.25 + torch.tensor([[0.0, 6e-8], [3e-8, -3e-8]])
    scale = colours.Scale.of(values)
    painted = scale.colours(values)
    assert colours.is_flat(values) and np.ptp(painted, axis=(0, 1)).max() <= 3  # neighbours
    wide = torch.tensor([[0.0, 1.0]])
    assert (colours.Scale.of(wide).low, colours.Scale.of(wide).high) == (0.0, 1.0)


def test_pages_of_two_mechanisms(tmp_path: Path) -> None:
    found = drawings.kept(["cbam", "eca"], tmp_path)
    spec = REGISTRY.attentions["cbam"]
    case = {"file": "cbam.a", "status": "passed", "max_abs_error": 3e-7, "max_grad_error": None}
    page = mechanism_page.page(spec, found["cbam"], [case], REGISTRY)
    heads = re.findall(r"^## (.*)$", page, re.MULTILINE)
    assert heads[:4] == ["Equations", "Data flow", "What it does to a picture", "Using it"]
    assert "3.0e-07" in page and "channel.fc1: Conv2d" in page and "8,564" in page
    assert "0.25 x everywhere" in page  # its start as the identity
    assert (tmp_path / "effects" / "cbam-cat.png").stat().st_size < 10_000
    gates = mechanism_page.page(REGISTRY.attentions["eca"], found["eca"], [], REGISTRY)
    assert gates.count('class="bars"') == 3 and "eca-cat.png" not in gates
    again = drawings.kept(["cbam"], tmp_path)["cbam"]
    assert again == found["cbam"]


def test_every_link_of_a_copied_page_leads_to_a_page_or_a_picture() -> None:
    pages = copied.sources()
    for name, page in pages.items():
        text, pictures = copied.page(name, pages)
        for link in re.findall(r"\]\(([^)#:\s]+)(?:#[\w-]+)?\)", text):
            target = posixpath.normpath(posixpath.join(posixpath.dirname(page), link))
            assert target in pages.values() or target in pictures, (name, link)


def test_troubleshooting_has_the_messages_that_are_raised() -> None:
    page = unescape(TAGS.sub(" ", troubleshooting.page()))
    with pytest.raises(zoo.ZooError) as caught:
        zoo.create_attention("se", channels=64, reduction=8, no_such_option=1)
    assert type(caught.value).__name__ in page and "has no option" in page
    assert all(kind.__name__ in page for kind in troubleshooting.classes())
    assert "zoo list --attentions" in page


def test_a_new_page_of_docs_gets_into_the_navigation(tmp_path: Path) -> None:
    (tmp_path / "benchmarks").mkdir()
    for name in ("index.md", "new.md", "benchmarks/more.md"):
        (tmp_path / name).write_text("# A page")
    nav = [{"Home": "index.md"}, {"Guides": ["old.md"]}, {"Results": [{"A table": "table.md"}]}]
    config = SimpleNamespace(nav=nav, docs_dir=str(tmp_path))
    assert hooks.on_config(config).nav[1:] == [
        {"Guides": ["old.md", "new.md"]},
        {"Results": [{"A table": "table.md"}, "benchmarks/more.md"]},
    ]


def test_the_photographs_state_their_terms() -> None:
    stated = (features.FOLDER / "README.md").read_text("utf-8")
    assert len(features.names()) == 3
    assert all(f"`{name}.jpg`" in stated for name in features.names())


def test_nothing_is_fetched_from_elsewhere() -> None:
    """The site's own scripts and styles name no address but that of SVG's namespace."""
    for file in (writing.HERE / "assets").iterdir():
        addresses = set(re.findall(r"https?://[^\"'\s)]+", file.read_text("utf-8")))
        assert addresses <= {"http://www.w3.org/2000/svg"}, file.name


STUDY = {
    "arms": {"plain": {"attention": None}, "se": {"attention": "se"}, "eca": {"attention": "eca"}},
    "results": [
        {"label": "se", "seeds": [0, 1], "accuracy": 61.0, "plain": 60.0, "verdict": "better",
         "difference": {"mean": 1.0, "low": 0.5, "high": 1.5}},
        {"label": "eca", "seeds": [0], "accuracy": 59.0, "plain": 60.0, "verdict": "one seed",
         "difference": {"mean": -1.0, "low": None, "high": None}},
    ],
    "costs": {"plain": {"latency_ms": 2.0}, "se": {"latency_ms": 3.0}, "eca": {"latency_ms": 2.5}},
    "runs": [{"arm": "plain", "seed": 0, "accuracy": 60.0}, {"arm": "plain", "seed": 1,
             "accuracy": 60.0}, {"arm": "se", "seed": 0, "accuracy": 60.8},
             {"arm": "se", "seed": 1, "accuracy": 61.2}, {"arm": "eca", "seed": 0, "accuracy": 59}],
    "conclusion": "se was more accurate.",
}  # fmt: skip


def test_a_recorded_comparison_is_a_section_of_the_atlas(tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "results.json").write_text(json.dumps(STUDY))
    (tmp_path / "other.json").write_text("{}")
    (section,) = studies.sections(tmp_path)
    assert section.startswith("## First") and "se was more accurate." in section
    plots = [json.loads(text) for text in re.findall(r"json\">(.*?)</script>", section)]
    forest, pareto = plots
    assert forest["rows"][0]["values"] == [pytest.approx(0.8), pytest.approx(1.2)]
    assert forest["rows"][1]["low"] == forest["rows"][1]["high"] == -1.0
    assert forest["rows"][0]["href"] == "../mechanisms/se/"
    assert pareto["front"] == [{"x": 2.0, "y": 0.0}, {"x": 3.0, "y": 1.0}]  # the plain one, then se
    assert studies.sections(tmp_path / "nowhere") == []


def test_the_gallery_offers_what_a_record_says(monkeypatch: pytest.MonkeyPatch) -> None:
    eca = drawings.Drawing("eca", "", "", None, None)
    monkeypatch.setattr(records, "read", lambda name: {})
    assert 'data-exportable="0"' in gallery.page({"eca": eca}, REGISTRY)
    rows = {"resnet18": {"eca": {"onnx": "", "script": "no"}, "se": {"onnx": "it is refused"}}}
    monkeypatch.setattr(records, "read", lambda name: {"rows": rows})
    page = gallery.page({"eca": eca}, REGISTRY)
    assert 'data-exportable="1"' in page and 'name="exportable"' in page
    assert gallery.exportable() == {"eca"}


@pytest.mark.parametrize("name", ["cbam", "multi_head", "emsa", "selective_kernel"])
def test_the_code_of_a_page_runs(name: str) -> None:
    """As it stands there, but with random weights, and in one block of a transformer."""
    used = mechanism_page._use(REGISTRY.attentions[name], REGISTRY)
    create, add, alone = re.findall(r"```python\n(.*?)```", used, re.DOTALL)
    depth = "depth=1" if "_vit_" in create else ""
    scope: dict[str, Any] = {"images": torch.rand(1, 3, 256, 256)}
    exec(create.replace("pretrained=True", depth), scope)
    assert scope["model"].zoo.sites
    backbone = re.findall(rf"{name}_(\w+)", create)[0]
    scope["model"] = zoo.create_model(backbone, **({"depth": 1} if depth else {}))
    if backbone == "vit_small_patch16_224":
        scope["images"] = torch.rand(1, 3, 224, 224)
    exec(add + alone, scope)
    assert zoo.attention_parameters(scope["model"])

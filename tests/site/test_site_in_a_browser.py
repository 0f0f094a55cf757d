"""The whole site in a real browser: every page, search, filters, plots, dark, phone, access."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import CHROMIUM, DRIVER, Browser, browser
from server import serve

from zoo.registry import default_registry

ROOT = Path(__file__).parents[2]
HTML = ROOT / "build" / "site" / "html"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="there is no Chromium here"),
]
SHOWN = ("", "mechanisms/", "mechanisms/cbam/", "mechanisms/multi_head/", "mechanisms/eca/",
         "mechanisms/region/", "networks/", "networks/ram_mnist/", "atlas/", "troubleshooting/",
         "table/", "api/models/", "your-model/")  # fmt: skip
BEYOND = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
LINKS = """
    const own = [...document.querySelectorAll("a[href]")].filter((a) => a.host === location.host);
    return own.map((a) => a.pathname);
"""
FAULTS = """
    const serious = (fault) => ["serious", "critical"].includes(fault.impact);
    const places = (fault) => fault.nodes.slice(0, 3).map((n) => n.target.join(" ")).join(", ");
    const found = await axe.run();
    return found.violations.filter(serious).map((fault) => `${fault.id}: ${places(fault)}`);
"""


@pytest.fixture(scope="module")
def site() -> Path:
    """The site, built as `make docs` builds it."""
    run = [sys.executable]
    subprocess.run([*run, "docs/build_site.py"], cwd=ROOT, check=True)
    subprocess.run([*run, "-m", "mkdocs", "build", "--strict", "--quiet"], cwd=ROOT, check=True)
    return HTML


@pytest.fixture(scope="module")
def served(site: Path) -> Iterator[tuple[str, list[str]]]:
    with serve(site) as found:
        yield found


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Browser]:
    with browser(tmp_path / "profile") as found:
        found.size(1280, 900)
        yield found


def test_every_page_opens_without_an_error(site: Path, served: Any, page: Browser) -> None:
    address, missing = served
    names = sorted(f.parent.relative_to(site).as_posix() for f in site.rglob("index.html"))
    registry = default_registry()
    assert {f"mechanisms/{n}" for n in registry.attentions} <= set(names)
    assert {f"networks/{n}" for n in registry.models} <= set(names)
    linked: set[str] = set()
    for name in names:
        page.open(f"{address}/{name}/")
        linked |= set(page.run(LINKS))
        assert page.console() == [], name
        assert missing == [], name
        broken = page.run("return [...document.images].filter(i => i.complete && !i.naturalWidth)"
                          ".map(i => i.src)")  # fmt: skip
        assert broken == [], name
    files = {path: site / path.strip("/") for path in linked}
    lost = [p for p, f in files.items() if not (f / "index.html").is_file() and not f.is_file()]
    assert lost == []


def test_search_finds_a_mechanism(served: Any, page: Browser) -> None:
    page.open(served[0] + "/?q=cbam")
    page.until("document.querySelector('.md-search-result__item a')")
    links = page.run("return [...document.querySelectorAll('.md-search-result__item a')]"
                     ".map(a => a.pathname)")  # fmt: skip
    assert "/mechanisms/cbam/" in links
    assert page.console() == []


def test_filters_leave_what_they_should(served: Any, page: Browser) -> None:
    specs = default_registry().attentions.values()
    shown = "[...document.querySelectorAll('.card:not([hidden])')].map(c => c.dataset.name)"
    page.open(served[0] + "/mechanisms/?family=channel")
    assert page.run(f"return {shown}") == sorted(s.name for s in specs if s.family == "channel")
    page.open(served[0] + "/mechanisms/")
    assert len(page.run(f"return {shown}")) == len(specs)
    page.run("""
        const form = document.getElementById('filters');
        form.elements.exact.click();
        form.elements.role.value = 'replace_mixer';
        form.elements.role.dispatchEvent(new Event('input', {bubbles: true}));
    """)
    found = {s.name for s in specs if s.insertion.role == "replace_mixer"
             and s.insertion.identity == "exact"}  # fmt: skip
    assert found and set(page.run(f"return {shown}")) == found
    page.open(served[0] + "/mechanisms/?sort=parameters")
    figures = page.run("return [...document.querySelectorAll('.card')]"
                       ".map(c => c.dataset.parameters).filter(Boolean).map(Number)")  # fmt: skip
    assert figures == sorted(figures) and len(figures) > 50


def test_plots_draw_what_is_recorded(served: Any, page: Browser) -> None:
    page.open(served[0] + "/atlas/")
    points = page.run("return [...document.querySelectorAll('.plot[data-kind=scatter]')].map(p => "
                      "[JSON.parse(p.querySelector('script').textContent).points.length, "
                      "p.querySelectorAll('.point circle').length])")  # fmt: skip
    assert points and all(given == drawn > 0 for given, drawn in points)
    page.run("document.querySelector('.legend button').click()")
    assert page.run("return document.querySelectorAll('.point.faint').length") > 0
    rows = page.run("return [...document.querySelectorAll('.plot[data-kind=forest]')].map(p => "
                    "[JSON.parse(p.querySelector('script').textContent).rows.length, "
                    "p.querySelectorAll('.row').length])")  # fmt: skip
    assert all(given == drawn > 0 for given, drawn in rows)


def test_equations_are_set(served: Any, page: Browser) -> None:
    page.open(served[0] + "/mechanisms/cbam/")
    heights = page.run("return [...document.querySelectorAll('.equation math')]"
                       ".map(m => m.getBoundingClientRect().height)")  # fmt: skip
    assert len(heights) >= 2 and min(heights) > 5


@pytest.mark.parametrize("name", SHOWN)
def test_a_phone_shows_it_without_scrolling_sideways(served: Any, page: Browser, name: str) -> None:
    page.size(390, 844)
    page.open(f"{served[0]}/{name}")
    assert page.run(BEYOND) <= 0


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_axe_finds_no_serious_fault(
    served: Any, page: Browser, colours: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    axe = _axe(tmp_path_factory.getbasetemp().parent)
    page.colours(colours)
    faults: list[str] = []
    for name in SHOWN:
        page.open(f"{served[0]}/{name}")
        scheme = page.run("return document.body.dataset.mdColorScheme")
        assert scheme == {"light": "default", "dark": "slate"}[colours]
        page.run(axe + "; return true")
        found = page.run(FAULTS)
        faults += [f"{name or 'home'}: {fault}" for fault in found]
    assert faults == []


def _axe(folder: Path) -> str:
    """axe-core's script, from the npm registry."""
    folder = folder / "axe"
    script = folder / "package" / "axe.min.js"
    if not script.exists():
        if not shutil.which("npm"):
            pytest.skip("there is no npm here")
        folder.mkdir(exist_ok=True)
        packed = subprocess.run(
            ["npm", "pack", "axe-core@4", "--silent"], cwd=folder, capture_output=True, text=True
        )
        if packed.returncode:
            pytest.skip("axe-core cannot be had")
        (name,) = re.findall(r"\S+\.tgz", packed.stdout)
        shutil.unpack_archive(folder / name, folder)
    return script.read_text("utf-8")

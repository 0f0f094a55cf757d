"""Fuzzing, bounded and reproducible: any bytes give a result or one of the project's own errors."""

from __future__ import annotations

import json
import math
import os
import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import torch  # noqa: F401  (its import must not count as the first example's time)
from hub.fuzz import TARGETS, plugin, run, safetensors
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zoo.errors import CorruptWeightsError

pytestmark = pytest.mark.long

TESTS = Path(__file__).resolve().parents[1]
bounded = settings(
    max_examples=60,
    deadline=5000,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(autouse=True, scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from huggingface_hub import constants

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(constants, "HF_ASSETS_CACHE", str(tmp_path_factory.mktemp("assets")))
        yield


counts = st.integers(-2, 40) | st.integers() | st.floats() | st.booleans() | st.none()
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
    ),
    max_leaves=12,
)
entries = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(
            ["F32", "F16", "BF16", "I64", "U8", "BOOL", "F8_E5M2", "C64", "x"]
        ),
        "shape": st.lists(counts, max_size=4),
        "data_offsets": st.lists(counts, min_size=1, max_size=3),
    }
)
headers = st.dictionaries(st.text(max_size=8), entries | values, max_size=5)


@st.composite
def files(draw: Any) -> bytes:
    """Files whose parts are right or nearly so."""
    text = json.dumps(draw(headers)).encode()
    length = draw(st.just(len(text)) | st.integers(0, 2**64 - 1))
    return struct.pack("<Q", length) + text + draw(st.binary(max_size=80))


@st.composite
def tiled(draw: Any) -> bytes:
    """Files whose header adds up, with any bytes as data."""
    header, at = {}, 0
    sizes = {"F32": 4, "F16": 2, "BF16": 2, "I64": 8, "U8": 1, "BOOL": 1, "F64": 8, "C64": 8}
    for i, dtype in enumerate(draw(st.lists(st.sampled_from(sorted(sizes)), max_size=6))):
        shape = draw(st.lists(st.integers(0, 3), max_size=3))
        end = at + sizes[dtype] * math.prod(shape)
        header[f"t{i}"] = {"dtype": dtype, "shape": shape, "data_offsets": [at, end]}
        at = end
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + draw(st.binary(min_size=at, max_size=at))


@given(files() | tiled() | st.binary(max_size=200))
@bounded
def test_safetensors(content: bytes) -> None:
    run(TARGETS["safetensors"], content)


CONFIG = {
    "architecture": "resnet18", "num_classes": 10, "model_args": {"attention": "se"},
    "pretrained_cfg": {"input_size": [3, 32, 32], "mean": [0.5], "std": [0.5], "crop_pct": 1.0},
}  # fmt: skip


@given(
    st.dictionaries(st.sampled_from(sorted(CONFIG)) | st.text(max_size=8), values, max_size=4),
    st.dictionaries(st.sampled_from(sorted(CONFIG["pretrained_cfg"])), values, max_size=4),
)
@bounded
def test_configs(changes: dict[str, Any], nested: dict[str, Any]) -> None:
    table = {**CONFIG, "pretrained_cfg": {**CONFIG["pretrained_cfg"], **nested}, **changes}
    run(TARGETS["config"], json.dumps(table).encode())


MANIFEST = ["model", "tag", "kind", "repository", "revision", "sha256", "path", "num_classes"]
toml_values = st.one_of(
    st.text(max_size=12).map(json.dumps), st.integers().map(str), st.just("[1, [2, {a = 1.5}]]"),
    st.sampled_from(["true", '"bundled"', '"warm_start"', f'"{"a" * 64}"', "1979-05-27", "nan"]),
)  # fmt: skip
tables = st.lists(
    st.tuples(st.sampled_from([*MANIFEST, "epochs", "batch_size", "[data]\nname", "[input]\nx"]),
              toml_values),
    max_size=8, unique_by=lambda pair: pair[0],
).map(lambda rows: "\n".join(f"{key} = {value}" for key, value in rows).encode())  # fmt: skip
START = b'model = "a"\ntag = "b"\nkind = "unpublished"\n'


@pytest.mark.parametrize("target", ["manifest", "recipe", "record"])
@given(tables | tables.map(lambda rest: START + rest) | st.binary(max_size=100))
@bounded
def test_tables(target: str, content: bytes) -> None:
    run(TARGETS[target], content)


names = st.lists(
    st.sampled_from(
        ["cbam", "se", "eca", "_", "resnet50", ".", "a1_in1k", "/", "..", "@", "hf-hub:"]
    )
    | st.text(max_size=5),
    max_size=6,
).map(lambda parts: "".join(parts).encode("utf-8", "replace"))


@pytest.mark.parametrize("target", ["name", "repository"])
@given(names)
@settings(bounded, max_examples=40)
def test_names(target: str, content: bytes) -> None:
    run(TARGETS[target], content)


@pytest.mark.parametrize("target", ["name", "repository", "config", "record"])
@pytest.mark.parametrize("letter", [b"a", b"_", b"[", b"{", b"\xff", b"se_"])
@pytest.mark.timeout(20)
def test_long_input_does_not_hang(target: str, letter: bytes) -> None:
    run(TARGETS[target], letter * (5_000 if target == "name" else 300_000))


@given(values)
@settings(bounded, max_examples=60)
def test_answers_of_a_hub(value: Any) -> None:
    run(TARGETS["answer"], json.dumps(value).encode())


@given(values | st.just([object(), object]) | st.just(iter([1, "x"])))
@settings(bounded, max_examples=25)
def test_plugins_that_return_junk(junk: Any) -> None:
    run(plugin, junk)


def header_of(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":[' + b"[]," * 300_000 + b"[]]}",
        b"{" + b'"a":{},' * 120_000 + b'"b":{}}',
        b'{"a":' + b"[" * 900 + b"1," * 300_000 + b"1" + b"]" * 900 + b"}",
    ],
)
def test_a_header_takes_memory_of_the_order_of_a_mebibyte_not_of_a_bomb(text: bytes) -> None:
    tracemalloc.start()
    with pytest.raises(CorruptWeightsError):
        safetensors(header_of(text))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 * 2**20


@pytest.mark.slow
@pytest.mark.parametrize("target", sorted(TARGETS))
def test_with_coverage_guidance(target: str, tmp_path: Path) -> None:
    pytest.importorskip("atheris")
    paths = os.pathsep.join(map(str, (TESTS, TESTS.parent)))
    command = [sys.executable, "-m", "hub.fuzz", target]
    limits = ["-max_total_time=20", "-timeout=5", "-rss_limit_mb=4096", "-seed=1"]
    environment = {**os.environ, "PYTHONPATH": paths, "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        command + limits, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]

"""What the environment of a launcher means."""

from __future__ import annotations

import pytest
import torch

from zoo.errors import UsageError
from zoo.runtime.processes import is_main, join

NAMES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
WHERE = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29999"}


@pytest.fixture
def environment(monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    return lambda values: [monkeypatch.setenv(name, value) for name, value in values.items()]


@pytest.mark.parametrize(
    "values", [{}, {"RANK": "1"}, {"RANK": "1", "WORLD_SIZE": "1"}, {"WORLD_SIZE": ""}], ids=str
)
def test_a_process_by_itself_prints(environment, values):
    environment(values)
    assert is_main()
    assert (join("cpu").rank, join("cpu").count) == (0, 1)


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE='two'"),
        ({"WORLD_SIZE": "2", **WHERE}, "without RANK"),
        ({"WORLD_SIZE": "2", "RANK": "0"}, "without MASTER_ADDR, MASTER_PORT"),
        ({"WORLD_SIZE": "2", "RANK": "2", **WHERE}, "RANK=2 is none of 2"),
        ({"WORLD_SIZE": "2", "RANK": "x", **WHERE}, "RANK='x'"),
    ],
)
def test_half_a_launch_is_refused(environment, values, what):
    environment(values)
    for ask in (is_main, lambda: join("cpu")):
        with pytest.raises(UsageError, match=what):
            ask()
    assert not torch.distributed.is_initialized()

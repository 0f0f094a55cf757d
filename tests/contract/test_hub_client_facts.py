"""What the Hub client does alone, line by line, and that none of it reaches a user of the zoo.

Each line shows the client to be fooled and the zoo not: if the client learns better, its half
fails and the line can go.
"""

from __future__ import annotations

import numpy as np
import pytest
from hub.client import Client
from hub.matrix import cells, is_safe
from hub.samples import NAME, fill
from hub.server import Hub
from hub.store import sha256
from safetensors.numpy import save

pytestmark = pytest.mark.slow
OLD = "warm, newer on the Hub"
REFUSALS = [("status", ("info", "resolve"), {"status": code}) for code in (503, 401, 403, 404)]
LINES = [
    (("corrupt", ("data",), {}), "cold", "WRONG bytes"),
    (("html, no size", ("data",), {}), "cold", "WRONG bytes"),
    (("hostile_etag", ("resolve",), {}), "cold", "WRONG: left the cache"),
    (("cut", ("data",), {"times": 1}), "cold", "raw ReadError"),
    (("no_size", ("resolve",), {}), "damaged cache", "WRONG bytes"),
    *((refusal, OLD, "WRONG: old copy") for refusal in REFUSALS),
]


@pytest.mark.parametrize(("fault", "operation", "alone"), LINES, ids=lambda value: str(value)[:40])
def test_the_client_is_fooled_and_the_zoo_is_not(
    fault: tuple[str, tuple[str, ...], dict], operation: str, alone: str
) -> None:
    (cell,) = cells([fault], [operation])
    assert is_safe(cell.outcome), cell
    assert cell.alone == alone, cell


def test_a_resume_from_the_wrong_place(hub: Hub, client: Client) -> None:
    """The client writes ten megabytes at a time, so only larger files are resumed."""
    content = save({"a": np.arange(6_000_000, dtype=np.float32)})
    hub.store.put(NAME, {"model.safetensors": content})
    for op, expected in (("bare", False), ("pull", True)):
        hub.faults.add("close", "data", times=1)
        hub.faults.add("range", "data", times=1)
        client.home = client.home.with_name(op)
        result = client.run(op, repository=NAME)
        assert result["ok"] and (result["sha256"] == sha256(content)) is expected, result


def test_a_snapshot_with_files_missing(hub: Hub, client: Client) -> None:
    fill(hub, config=b"{}")
    client.run("bare", repository=NAME, filename="config.json")
    offline = {"HF_HUB_OFFLINE": "1"}
    alone = client.run("bare_snapshot", offline, repository=NAME)
    assert alone["ok"] and alone["files"] == ["config.json"]
    ours = client.run("pull", offline, repository=NAME)
    assert ours["error"] == "OfflineError" and "model.safetensors" in ours["what"]


def test_files_of_two_commits(hub: Hub, client: Client) -> None:
    """The branch moves between the config and the weights."""
    fill(hub, config=b'{"architecture": "resnet18"}')
    hub.moves.append((NAME, {"config.json": b'{"architecture": "resnet34"}'}))
    hub.faults.add("move", "resolve", times=1)
    alone = client.run("bare_pair", repository=NAME)
    assert len(set(alone["commits"])) == 2
    hub.faults.add("move", "resolve", times=1)
    fill(hub, config=b'{"architecture": "resnet18"}')
    ours = client.run("repository", name=NAME)
    assert len(set(ours["commits"])) == 1

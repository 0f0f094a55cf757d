"""Publishing: one guarded commit, read back; nobody's push is overwritten, no answer guessed."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hub.client import Client
from hub.server import Hub

pytestmark = pytest.mark.long

NAME = "org/net"
FILES = {"model.safetensors": "weights", "config.json": "{}", "README.md": "---\ntags: []\n---\n"}


@pytest.fixture
def client(hub: Hub, tmp_path: Path) -> Client:
    return Client(hub.endpoint, tmp_path / "home", {"HF_TOKEN": "hf_good"})


def held(hub: Hub, branch: str = "main") -> dict[str, bytes]:
    return hub.store.repositories[NAME].resolve(branch).files


def commits(hub: Hub) -> int:
    return len(hub.store.repositories[NAME].commits)


def push(client: Client, **options: object) -> dict:
    return client.run("push", repository=NAME, files=FILES, **options)


def assert_ours(result: dict, *errors: str) -> None:
    assert not result["ok"] and not result["raw"], result
    assert result["error"] in errors, result


def test_a_push_reports_where_it_lies(hub: Hub, client: Client) -> None:
    result = push(client)
    assert result["ok"], result
    assert result["revision"] == hub.store.repositories[NAME].branches["main"]
    assert result["revision"] in result["url"]
    assert {k: v.decode() for k, v in held(hub).items() if k in FILES} == FILES
    assert not result["torch"]
    again = push(client)
    assert again["revision"] == result["revision"] and commits(hub) == 2


def test_a_pull_request_leaves_main_alone(hub: Hub, client: Client) -> None:
    before = hub.store.put(NAME, {"a.txt": b"1"})
    result = push(client, create_pr=True)
    assert result["ok"], result
    assert result["pull_request"].endswith("/discussions/1")
    assert hub.store.repositories[NAME].branches["main"] == before
    assert held(hub, "refs/pr/1")["config.json"] == b"{}"


def test_private_is_private(hub: Hub, client: Client) -> None:
    assert push(client, private=True)["ok"]
    assert hub.store.repositories[NAME].private


def test_private_does_not_go_to_a_public_repository(hub: Hub, client: Client) -> None:
    hub.store.put(NAME, {"a.txt": b"1"})
    result = push(client, private=True)
    assert_ours(result, "HubError")
    assert "public" in result["what"] and set(held(hub)) == {"a.txt"}


def test_someone_elses_push_is_not_overwritten(hub: Hub, client: Client) -> None:
    hub.store.put(NAME, {"a.txt": b"1"})
    hub.moves.append((NAME, {"config.json": b"theirs"}))
    hub.faults.add("move", "preupload", times=1)
    result = push(client)
    assert not result["ok"] and not result["raw"], result
    assert "someone pushed" in result["what"]
    assert held(hub)["config.json"] == b"theirs" and "model.safetensors" not in held(hub)


@pytest.mark.parametrize("create_pr", [False, True])
def test_a_lost_answer_is_resolved_by_looking(hub: Hub, client: Client, create_pr: bool) -> None:
    first = hub.store.put(NAME, {"a.txt": b"1"})
    hub.faults.add("lost", "commit", times=1)
    result = push(client, create_pr=create_pr)
    assert result["ok"], result
    assert commits(hub) == 2 and result["revision"] != first
    assert bool(result["pull_request"]) == create_pr


@pytest.mark.parametrize("kind", ["reset", pytest.param("status", marks=pytest.mark.slow)])
def test_a_commit_that_did_not_arrive_is_sent_again(hub: Hub, client: Client, kind: str) -> None:
    hub.store.put(NAME, {"a.txt": b"1"})
    hub.faults.add(kind, "commit", times=1)
    result = push(client)
    assert result["ok"], result
    assert commits(hub) == 2


@pytest.mark.parametrize(
    ("place", "status"),
    [("commit", 403)]
    + [
        pytest.param(place, status, marks=pytest.mark.slow)
        for place in ("create", "preupload", "batch", "upload", "commit")
        for status in (401, 403, 500)
    ],
)
def test_a_refusal_that_stays_is_ours(hub: Hub, client: Client, place: str, status: int) -> None:
    hub.store.put(NAME, {"a.txt": b"1"})
    hub.faults.add("status", place, status=status)
    assert_ours(push(client), "HubError", "UnreachableError")
    assert set(held(hub)) == {"a.txt"}


def test_without_a_token(hub: Hub, client: Client) -> None:
    result = client.run("push", repository=NAME, files=FILES, env={"HF_TOKEN": ""})
    assert_ours(result, "HubError")
    assert "hf auth login" in result["what"]


def test_offline(hub: Hub, client: Client) -> None:
    result = client.run("push", repository=NAME, files=FILES, env={"HF_HUB_OFFLINE": "1"})
    assert_ours(result, "OfflineError")


def test_what_the_hub_holds_is_compared(hub: Hub, client: Client) -> None:
    """The server keeps another README than the one it was sent."""
    hub.store.put(NAME, {"a.txt": b"1"})
    hub.faults.add("alter", "commit")
    result = push(client)
    assert_ours(result, "HubError")
    assert "README.md" in result["what"]


def test_a_card_that_the_hub_does_not_take_leaves_no_empty_repository(
    hub: Hub, client: Client
) -> None:
    files = {**FILES, "README.md": "---\nlicense: MIT\n---\n"}
    result = client.run("push", repository=NAME, files=files)
    assert_ours(result, "UsageError")
    assert "license" in result["what"] and NAME not in hub.store.repositories


@pytest.mark.parametrize("env", [{"HTTP_PROXY": "gopher://x"}, {"HF_TOKEN": "hf_g\u00f6\u00f6d"}])
def test_settings_that_cannot_be_used(hub: Hub, client: Client, env: dict[str, str]) -> None:
    assert_ours(client.run("push", repository=NAME, files=FILES, env=env), "UnreachableError")
    assert NAME not in hub.store.repositories


def test_a_hub_that_never_ends_its_answer(hub: Hub, client: Client) -> None:
    hub.faults.add("drip", "info")
    start = time.monotonic()
    assert_ours(push(client, deadline=2), "UnreachableError")
    assert time.monotonic() - start < 15


def test_the_client_alone_overwrites_a_second_writer(hub: Hub, client: Client) -> None:
    """What the guard is for; if this fails, the client has learnt it."""
    hub.store.put(NAME, {"a.txt": b"1"})
    hub.moves.append((NAME, {"config.json": b"theirs"}))
    hub.faults.add("move", "preupload", times=1)
    assert client.run("bare_push", repository=NAME, files=FILES)["ok"]
    assert held(hub)["config.json"] == b"{}"

"""`zoo pull`, `zoo cache` and `zoo weights`, as a user runs them."""

from __future__ import annotations

import json
import os
import time
import tomllib
from pathlib import Path

import pytest
from hub.client import Client, ordinary
from hub.samples import NAME, fill, weights
from hub.server import Hub
from hub.store import sha256

pytestmark = pytest.mark.long

CONFIG = json.dumps({
    "architecture": "se_resnet18", "num_classes": 10, "model_args": {"attention": "se"},
    "pretrained_cfg": {"tag": "mine", "input_size": [3, 32, 32], "license": "mit"},
}).encode()  # fmt: skip


def test_pull_makes_a_repository_usable_offline(hub: Hub, client: Client) -> None:
    commit = fill(hub, config=CONFIG)
    done = client.cli("pull", f"hf-hub:{NAME}", "--json")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)
    assert (row["sha256"], row["revision"]) == (sha256(weights(0)), commit)
    hub.close()
    again = client.cli("pull", f"hf-hub:{NAME}@{commit}", env={"HF_HUB_OFFLINE": "1"})
    assert again.returncode == 0 and "the Hub's digest" in again.stdout


@pytest.mark.parametrize(
    ("name", "code"), [("hf-hub:org/absent", 1), ("hf-hub:org/../x", 2), ("no_such_model", 2)]
)
def test_pull_fails_with_one_message(hub: Hub, client: Client, name: str, code: int) -> None:
    done = client.cli("pull", name)
    assert done.returncode == code, done.stderr
    assert done.stderr.count("error: ") == 1 and "Traceback" not in done.stderr


def test_cache_finds_and_removes_what_is_corrupt(hub: Hub, client: Client) -> None:
    fill(hub, config=CONFIG)
    client.cli("pull", f"hf-hub:{NAME}")
    good = client.cli("cache", "verify", "--json")
    assert good.returncode == 0
    assert {row["status"] for row in json.loads(good.stdout)} == {"ok"}
    blob = next(p for p in client.blobs() if p.name == sha256(weights(0)))
    blob.write_bytes(weights(1))
    abandoned = blob.with_name(f"{blob.name}.abc.incomplete")
    abandoned.write_bytes(b"half")
    os.utime(abandoned, (time.time() - 7200,) * 2)
    bad = client.cli("cache", "verify", "--json")
    assert bad.returncode == 1
    statuses = {row["filename"]: row["status"] for row in json.loads(bad.stdout)}
    assert statuses == {"config.json": "ok", "model.safetensors": "corrupt"}
    assert blob.name in client.cli("cache", "prune", "--dry-run").stdout and blob.exists()
    client.cli("cache", "prune")
    assert not blob.exists() and not abandoned.exists()
    listed = json.loads(client.cli("cache", "list", "--json").stdout)
    assert [row["filename"] for row in listed] == ["config.json"]


@pytest.mark.parametrize("command", [["cache", "prune"], ["pull", f"hf-hub:{NAME}"]])
def test_a_users_file_behind_a_link_in_the_cache_is_kept(
    command: list[str], hub: Hub, client: Client, tmp_path: Path
) -> None:
    fill(hub, config=CONFIG)
    client.cli("pull", f"hf-hub:{NAME}")
    own = tmp_path / "own.safetensors"
    own.write_bytes(weights(1))
    (link,) = client.home.glob("hub/models--*/snapshots/*/model.safetensors")
    link.unlink()
    link.symlink_to(own)
    done = client.cli(*command)
    assert done.returncode == 0, done.stderr
    assert own.read_bytes() == weights(1) and link.resolve() != own


@pytest.mark.parametrize("what", ["file", "folder", "pipe", "loop"])
def test_what_cannot_be_read_is_not_called_intact(hub: Hub, client: Client, what: str) -> None:
    fill(hub, config=CONFIG)
    client.cli("pull", f"hf-hub:{NAME}")
    (blob,) = [p for p in client.blobs_of(NAME) if p.name == sha256(weights(0))]
    snapshot = next((client.home / "hub").glob("models--*/snapshots/*"))
    if what == "pipe":
        blob.unlink()
        os.mkfifo(blob)
    elif what == "loop":
        blob.unlink()
        blob.symlink_to(blob.name)
    else:
        (blob if what == "file" else snapshot).chmod(0)
    done = client.cli("cache", "verify", "--json", before=ordinary)
    snapshot.chmod(0o755)
    assert done.returncode == 1, done.stdout
    rows = [row for row in json.loads(done.stdout) if row["status"] != "ok"]
    assert [row["status"] for row in rows] == ["unreadable"], rows


def test_a_manifest_is_written_pinned_and_checked(hub: Hub, client: Client, tmp_path: Path) -> None:
    commit = fill(hub, config=CONFIG)
    add = ("weights", "add", NAME, "--out", str(tmp_path))
    done = client.cli(*add)
    assert done.returncode == 0, done.stderr
    manifest = tomllib.loads((tmp_path / "se_resnet18.hub.toml").read_text())
    assert (manifest["revision"], manifest["sha256"]) == (commit, sha256(weights(0)))
    assert (manifest["num_classes"], manifest["license"]) == (10, "mit")
    assert client.cli(*add).returncode == 2, "not replaced unasked"
    assert client.cli(*add, "--force").returncode == 0


def test_a_manifest_is_not_written_of_what_cannot_be_trusted(
    hub: Hub, client: Client, tmp_path: Path
) -> None:
    hub.store.put(NAME, {"config.json": CONFIG, "model.safetensors": b"<html>"})
    done = client.cli("weights", "add", NAME, "--out", str(tmp_path))
    assert done.returncode == 1 and "HTML" in done.stderr
    assert not list(tmp_path.glob("*.toml"))


def test_check_says_what_the_hub_holds(hub: Hub, client: Client) -> None:
    commit = hub.store.put("timm/seresnet50.a1_in1k", {"model.safetensors": weights(0)})
    done = client.cli("weights", "check", "se_resnet50.a1_in1k", "--json")
    (row,) = json.loads(done.stdout)
    assert row["status"] == "unpinned" and commit in row["detail"]
    absent = client.cli("weights", "check", "se_resnet50.a2_in1k")
    assert absent.returncode == 1 and "failed" in absent.stdout


def test_manifests_are_listed(client: Client) -> None:
    done = client.cli("weights", "list", "se_resnet*", "--json")
    rows = json.loads(done.stdout)
    assert {row["kind"] for row in rows} == {"published"}
    assert any(row["model"] == "se_resnet50" for row in rows)

"""The copy in the Hub client's cache: shared, damaged, offline, not to be written."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from hub.client import Client, ordinary
from hub.outcomes import GOOD, assert_clean, assert_good, assert_refused, slow
from hub.samples import NAME, fill, weights
from hub.server import Hub
from hub.store import sha256

from zoo.errors import UsageError
from zoo.hub import Request

pytestmark = pytest.mark.long


def test_files_of_the_hub_client_are_reused(hub: Hub, client: Client) -> None:
    fill(hub)
    assert client.run("bare", repository=NAME)["ok"]
    hub.log.clear()
    assert_good(client.run("pull", repository=NAME))
    assert hub.counts()["data"] == 0


def test_the_hub_client_finds_ours_offline(hub: Hub, client: Client) -> None:
    fill(hub)
    client.run("pull", repository=NAME)
    result = client.run("bare", repository=NAME, env={"HF_HUB_OFFLINE": "1"})
    assert result["sha256"] == sha256(GOOD)


@pytest.mark.parametrize(
    ("damage", "revision"),
    [
        ("flip", "main"), slow("flip", "commit"), slow("truncate", "main"),
        ("grow", "commit"), slow("empty", "main"),
    ],
)  # fmt: skip
def test_a_damaged_cache_is_mended_online_and_refused_offline(
    hub: Hub, client: Client, damage: str, revision: str
) -> None:
    commit = fill(hub)
    revision = commit if revision == "commit" else revision
    client.run("pull", repository=NAME)
    (blob,) = client.blobs_of(NAME)
    harm(blob, damage)
    result = client.run("pull", repository=NAME, revision=revision, env={"HF_HUB_OFFLINE": "1"})
    assert_refused(result, "CorruptWeightsError")
    assert_good(client.run("pull", repository=NAME, revision=revision))
    assert sha256(blob.read_bytes()) == sha256(GOOD)


def harm(path: Path, damage: str) -> None:
    """Damage a file and put its modification time back."""
    stat = path.stat()
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[-5] ^= 1
    kept = {"truncate": content[:-8], "grow": content + b"\0", "empty": b""}.get(damage, content)
    path.write_bytes(bytes(kept))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_what_others_cached_is_checked_before_it_is_used(hub: Hub, client: Client) -> None:
    """The client serves its own corrupt download for ever; here it is found, even offline."""
    fill(hub)
    hub.faults.add("corrupt", "data", times=1)
    assert client.run("bare", repository=NAME)["sha256"] != sha256(GOOD)
    result = client.run("pull", repository=NAME, env={"HF_HUB_OFFLINE": "1"})
    assert_refused(result, "CorruptWeightsError")
    assert_good(client.run("pull", repository=NAME))
    assert client.run("bare", repository=NAME)["sha256"] == sha256(GOOD)


def test_a_hit_is_hashed_once(hub: Hub, client: Client) -> None:
    fill(hub)
    result = client.run("pull_twice", repository=NAME)
    assert result["hashed"] == [1, 1], "the download is hashed, and nothing after that"


def test_an_etag_that_leads_out_of_the_cache_is_refused(hub: Hub, client: Client) -> None:
    """The client names its copy by the ETag."""
    fill(hub)
    hub.faults.add("hostile_etag", "resolve")
    assert_refused(client.run("pull", repository=NAME), "HubError")
    assert not client.blobs_of(NAME)
    assert not [p for p in client.home.parent.rglob("*") if "escaped" in p.name]


@pytest.mark.parametrize("warm", [False, slow(True)])
def test_an_etag_of_other_content_is_not_believed(hub: Hub, client: Client, warm: bool) -> None:
    """Nothing else is named so: the right bytes. Another commit's copy is: refused, and kept."""
    hub.store.put(NAME, {"model.safetensors": weights(1)})
    if warm:
        client.run("pull", repository=NAME)
    fill(hub)
    hub.faults.add("stale_etag", "resolve")
    result = client.run("pull", repository=NAME)
    assert_refused(result, "HubError") if warm else assert_good(result)
    assert_clean(client, weights(1) if warm else GOOD)


@pytest.mark.parametrize(
    "arguments",
    [
        {"filename": "../../escape"}, {"filename": "/etc/passwd"}, {"filename": "a/../../b"},
        {"filename": "a\\..\\b"}, {"filename": ""}, {"revision": "../../main"},
        {"revision": "refs/../../x"}, {"repository": "../../etc"}, {"repository": "a/b/c"},
        {"repository": "a--b/c"}, {"repository": "org/net?x=1"}, {"revision": "main\n"},
    ],
)  # fmt: skip
def test_names_that_would_leave_the_cache_are_refused(arguments: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        Request(**{"repository": NAME, **arguments})


@pytest.mark.parametrize("status", [404, slow(401), slow(403)])
def test_a_refusal_is_not_papered_over_with_an_old_copy(
    hub: Hub, client: Client, status: int
) -> None:
    fill(hub)
    client.run("pull", repository=NAME)
    hub.faults.add("status", "info", "resolve", status=status)
    result = client.run("pull", repository=NAME)
    assert_refused(result, "HubError")
    assert str(status) in result["what"]


@pytest.mark.parametrize("kind", ["status", slow("reset"), slow("html")])
def test_an_unreachable_hub_leaves_the_verified_copy_and_says_so(
    hub: Hub, client: Client, kind: str
) -> None:
    commit = fill(hub)
    client.run("pull", repository=NAME)
    hub.faults.add(kind, "info")
    result = client.run("pull", repository=NAME)
    assert_good(result)
    assert result["revision"] == commit
    assert "using the cached copy of commit" in result["stderr"]


SETTINGS = {
    "a proxy that needs another package": {"ALL_PROXY": "socks5://127.0.0.1:1"},
    "a proxy of an unknown scheme": {"HTTP_PROXY": "gopher://127.0.0.1:1"},
    "a proxy without a port": {"HTTP_PROXY": "http://127.0.0.1:port"},
    "a proxy that is not there": {"HTTP_PROXY": "http://127.0.0.1:1"},
    "certificates that are not there": {"SSL_CERT_FILE": "/no/such/file"},
    "certificates that are none": {"SSL_CERT_FILE": __file__},
    "a token that is not ASCII": {"HF_TOKEN": "hf_g\u00f6\u00f6d"},
    "an endpoint that is none": {"HF_ENDPOINT": "nonsense"},
    "an endpoint of an unknown scheme": {"HF_ENDPOINT": "gopher://127.0.0.1"},
}


QUICK = ("a proxy that needs another package", "certificates that are not there",
         "a token that is not ASCII")  # fmt: skip


@pytest.mark.parametrize("name", [name if name in QUICK else slow(name) for name in SETTINGS])
def test_settings_that_cannot_be_used_leave_the_verified_copy(
    hub: Hub, client: Client, name: str
) -> None:
    fill(hub)
    client.run("pull", repository=NAME)
    result = client.run("pull", repository=NAME, env=SETTINGS[name])
    assert_good(result)
    assert "using the cached copy of commit" in result["stderr"]
    absent = client.run("pull", repository="org/other", env=SETTINGS[name], deadline=3)
    assert_refused(absent, "UnreachableError")


def test_a_vanished_network_uses_the_cache_and_says_so(hub: Hub, client: Client) -> None:
    fill(hub)
    client.run("pull", repository=NAME)
    hub.close()
    result = client.run("pull", repository=NAME)
    assert_good(result)
    assert "using the cached copy of commit" in result["stderr"]
    assert_refused(client.run("pull", repository="org/other", deadline=2), "UnreachableError")


@pytest.mark.parametrize("how", ["environment", "argument"])
def test_offline_asks_nobody(hub: Hub, client: Client, how: str) -> None:
    fill(hub, config=b"{}")
    client.run("pull", repository=NAME)
    hub.log.clear()
    options = {"env": {"HF_HUB_OFFLINE": "1"}} if how == "environment" else {"offline": True}
    result = client.run("pull", repository=NAME, **options)
    assert_good(result)
    assert "offline" in result["stderr"]
    missing = client.run("pull", repository=NAME, filename="config.json", **options)
    assert_refused(missing, "OfflineError")
    assert "zoo pull" in missing["what"]
    assert not hub.log


def test_several_processes_fetch_once(hub: Hub, client: Client) -> None:
    fill(hub)
    processes = [client.start("pull", repository=NAME) for _ in range(3)]
    for process in processes:
        assert_good(client.finish(process))
    assert hub.counts()["data"] == 1


def test_a_kill_leaves_nothing_that_is_trusted(hub: Hub, client: Client) -> None:
    fill(hub)
    hub.faults.add("stall", "data", times=1)
    process = client.start("pull", repository=NAME, env={"HF_HUB_DOWNLOAD_TIMEOUT": "20"})
    deadline = time.monotonic() + 20
    while not any(p.suffix == ".incomplete" for p in client.blobs()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    offline = client.run("pull", repository=NAME, env={"HF_HUB_OFFLINE": "1"})
    assert_refused(offline, "OfflineError")
    assert_good(client.run("pull", repository=NAME))


def test_a_cache_that_cannot_be_written_is_said(hub: Hub, client: Client) -> None:
    fill(hub)
    client.home.parent.mkdir(exist_ok=True)
    client.home.write_text("in the way")
    assert_refused(client.run("pull", repository=NAME), "HubError", "UnreachableError")


def test_a_read_only_cache_serves_a_new_commit_of_the_same_weights(
    hub: Hub, client: Client
) -> None:
    """Only the README changed upstream: what is there is what is asked for."""
    fill(hub)
    client.run("pull", repository=NAME)
    newer = hub.store.put(NAME, {"README.md": b"new"})
    folders = [path for path in client.home.rglob("*") if path.is_dir()]
    for folder in folders:
        folder.chmod(0o555)
    result = client.finish(client.start("pull", repository=NAME, before=ordinary))
    assert_good(result)
    assert result["revision"] == newer and hub.counts()["data"] == 1
    fill(hub, 1)
    refused = client.finish(client.start("pull", repository=NAME, before=ordinary))
    assert_refused(refused, "CacheError")
    assert "HF_HOME" in refused["what"]
    for folder in folders:
        folder.chmod(0o755)


def test_a_copy_without_a_digest_is_checked_online_and_named_offline(
    hub: Hub, client: Client
) -> None:
    """As other software leaves files where there are no symbolic links."""
    commit = fill(hub)
    folder = client.home / "hub" / "models--org--net"
    path = folder / "snapshots" / commit / "model.safetensors"
    for file, content in ((path, GOOD), (folder / "refs" / "main", commit.encode())):
        file.parent.mkdir(parents=True)
        file.write_bytes(content)
    offline = client.run("pull", repository=NAME, env={"HF_HUB_OFFLINE": "1"})
    assert_good(offline)
    assert offline["digest_from"] == "unverified"
    assert "nothing says what the cached copy must hash to" in offline["stderr"]
    online = client.run("pull", repository=NAME)
    assert_good(online)
    assert online["digest_from"] == "hub" and hub.counts()["data"] == 0
    harm(path, "flip")
    refused = client.run("pull", repository=NAME, env={"HF_HUB_OFFLINE": "1"})
    assert_refused(refused, "CorruptWeightsError")
    assert_good(client.run("pull", repository=NAME))

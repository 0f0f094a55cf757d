"""Pulling, over HTTP with the real client, under faults: the right bytes or one of our errors."""

from __future__ import annotations

import time
from functools import partial

import pytest
from hub.client import Client
from hub.outcomes import GOOD, assert_clean, assert_good, assert_refused, slow
from hub.samples import NAME, fill, weights
from hub.server import Hub
from hub.store import sha256
from huggingface_hub.utils._xet_progress_reporting import XetDownloadProgressReporter

from zoo.errors import HubError
from zoo.hub.client import Clock
from zoo.hub.download import progress_bar

pytestmark = pytest.mark.long


def test_the_record_says_what_was_read_and_who_vouches(hub: Hub, client: Client) -> None:
    commit = fill(hub)
    result = client.run("pull", repository=NAME)
    assert_good(result)
    assert result["revision"] == commit
    assert (result["source"], result["digest_from"]) == ("hub", "hub")
    pinned = client.run("pull", repository=NAME, revision=commit, sha256=sha256(GOOD))
    assert pinned["digest_from"] == "manifest"


def test_a_pinned_copy_costs_no_request(hub: Hub, client: Client) -> None:
    commit = fill(hub)
    client.run("pull", repository=NAME)
    hub.log.clear()
    assert_good(client.run("pull", repository=NAME, revision=commit))
    assert_good(client.run("pull", repository=NAME, sha256=sha256(GOOD)))
    assert not hub.log


def test_a_branch_costs_one_request_and_no_bytes(hub: Hub, client: Client) -> None:
    fill(hub)
    client.run("pull", repository=NAME)
    hub.log.clear()
    assert_good(client.run("pull", repository=NAME))
    assert hub.counts() == {"info": 1}


def test_digests_are_taken_from_the_tree_where_the_info_has_none(hub: Hub, client: Client) -> None:
    fill(hub)
    hub.faults.add("plain", "info")
    result = client.run("pull", repository=NAME)
    assert_good(result)
    assert result["digest_from"] == "hub" and hub.counts()["tree"] == 1


@pytest.mark.parametrize(
    "kind",
    ["corrupt", "cut", "reset", *map(slow, ("truncate", "stall", "close", "long", "html",
                                            "gzip_bomb"))],
)  # fmt: skip
def test_a_fault_in_the_data_once_is_overcome(hub: Hub, client: Client, kind: str) -> None:
    fill(hub)
    hub.faults.add(kind, "data", times=1)
    assert_good(client.run("pull", repository=NAME))
    assert_clean(client, GOOD)


@pytest.mark.parametrize("kind", ["corrupt", slow("long"), slow("html")])
def test_a_fault_in_the_data_that_stays_is_refused(hub: Hub, client: Client, kind: str) -> None:
    fill(hub)
    hub.faults.add(kind, "data")
    result = client.run("pull", repository=NAME, deadline=4)
    assert_refused(result, "CorruptWeightsError", "UnreachableError")
    assert_clean(client)
    if kind == "corrupt":
        assert hub.counts()["data"] == 2
        assert sha256(GOOD) in result["what"] and "model.safetensors" in result["what"]
    hub.faults.clear()
    assert_good(client.run("pull", repository=NAME))


@pytest.mark.parametrize("kind", ["range", slow("no_range")])
def test_a_resumed_download_is_whole_or_done_again(hub: Hub, client: Client, kind: str) -> None:
    fill(hub)
    hub.faults.add("cut", "data", times=1)
    hub.faults.add(kind, "data", times=1)
    assert_good(client.run("pull", repository=NAME))


@pytest.mark.parametrize(
    ("place", "status"),
    [("data", 500), ("info", 429)]
    + [
        slow(place, status)
        for place in ("info", "resolve", "data")
        for status in (408, 429, 500, 502, 503, 504)
    ],
)
def test_a_passing_server_error_is_waited_out(
    hub: Hub, client: Client, place: str, status: int
) -> None:
    fill(hub)
    hub.faults.add("status", place, times=1, status=status, headers={"Retry-After": "0"})
    assert_good(client.run("pull", repository=NAME))


def test_retry_after_is_honoured_up_to_the_deadline(hub: Hub, client: Client) -> None:
    fill(hub)
    hub.faults.add("status", "data", times=1, status=429, headers={"Retry-After": "1"})
    start = time.monotonic()
    assert_good(client.run("pull", repository=NAME))
    assert time.monotonic() - start > 1
    hub.faults.add("status", "info", status=429, headers={"Retry-After": "86400"})
    start = time.monotonic()
    result = client.run("pull", repository=NAME, revision="other", deadline=1)
    assert_refused(result, "UnreachableError")
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("place", ["data", "info"])
def test_a_server_that_drips_is_cut_off_at_the_deadline(
    hub: Hub, client: Client, place: str
) -> None:
    fill(hub)
    hub.faults.add("drip", place)
    start = time.monotonic()
    assert_refused(client.run("pull", repository=NAME, deadline=1.5), "UnreachableError")
    assert time.monotonic() - start < 6
    assert_clean(client)


@pytest.mark.slow
def test_a_server_that_says_come_back_tomorrow(hub: Hub, client: Client) -> None:
    """The client would wait for a day, with the file's lock in its hand."""
    fill(hub)
    hub.faults.add("status", "data", times=1, status=429, headers={"Retry-After": "86400"})
    start = time.monotonic()
    assert_refused(client.run("pull", repository=NAME, deadline=2), "UnreachableError")
    assert time.monotonic() - start < 10
    assert_good(client.run("pull", repository=NAME))


def test_an_endless_answer_is_not_read_on(hub: Hub, client: Client) -> None:
    fill(hub)
    hub.faults.add("flood", "data")
    assert_refused(client.run("pull", repository=NAME), "CorruptWeightsError")
    assert hub.sent < 2**26, "no more than what the sockets buffer"
    assert_clean(client)


def test_xet_may_transfer_more_than_the_file_but_not_rebuild_more() -> None:
    bar = progress_bar("model.safetensors", 100, False, Clock())
    show = partial(XetDownloadProgressReporter, tqdm_class=bar, total=100, log_level=30)
    report = partial(show, reconstruction_desc="file", transfer_desc="bytes", name="xet_get")
    with report() as bars:
        bars.transfer_bar.update(1000)
        bars.reconstruction_bar.update(100)
        with pytest.raises(HubError, match="more than the expected 100 bytes"):
            bars.reconstruction_bar.update(1)


def test_a_download_shows_its_progress(hub: Hub, client: Client) -> None:
    fill(hub)
    shown = client.run("pull", repository=NAME, progress=True)
    assert_good(shown)
    assert "model.safetensors" in shown["stderr"] and "B/s" in shown["stderr"]
    assert not client.run("pull", repository=NAME, progress=True)["stderr"]


def test_a_moving_branch_is_pinned_for_the_whole_operation(hub: Hub, client: Client) -> None:
    first = fill(hub, config=b'{"architecture": "resnet18"}')
    hub.moves.append((NAME, {"model.safetensors": weights(1), "config.json": b"{}"}))
    hub.faults.add("move", "info", times=1)
    result = client.run("pull", repository=NAME)
    assert_good(result)
    assert result["revision"] == first


def test_a_pinned_digest_that_the_repository_no_longer_has(hub: Hub, client: Client) -> None:
    fill(hub)
    result = client.run("pull", repository=NAME, sha256="0" * 64)
    assert_refused(result, "CorruptWeightsError")
    assert "0" * 64 in result["what"] and sha256(GOOD) in result["what"]
    assert hub.counts()["data"] == 0


@pytest.mark.parametrize("kind", ["private", slow("gated")])
def test_private_and_gated_repositories(hub: Hub, client: Client, kind: str) -> None:
    hub.store.repository(NAME, **{kind: True})
    fill(hub)
    refused = client.run("pull", repository=NAME)
    assert_refused(refused, "HubError")
    assert "hf auth login" in refused["what"]
    assert_good(client.run("pull", repository=NAME, env={"HF_TOKEN": "hf_good"}))


@pytest.mark.parametrize("kind", ["junk", slow("html")])
def test_an_answer_that_makes_no_sense(hub: Hub, client: Client, kind: str) -> None:
    fill(hub)
    hub.faults.add(kind, "info")
    assert_refused(client.run("pull", repository=NAME), "HubError", "UnreachableError")

"""Fetch a file of a repository: from the cache if it is verified there, else from the Hub."""

from __future__ import annotations

import logging
from pathlib import Path

from zoo.errors import CorruptWeightsError, OfflineError
from zoo.hub import cache
from zoo.hub.download import fetch_entry
from zoo.hub.files import VerifiedFile
from zoo.hub.request import Request, expected_in_cache, open_verified
from zoo.hub.resolve import known_commit, resolve
from zoo.hub.transport import RETRIES, Clock, UnreachableError

logger = logging.getLogger("zoo.hub")


def pull(
    request: Request,
    *,
    offline: bool | None = None,
    deadline: float | None = None,
    progress: bool | None = None,
) -> VerifiedFile:
    """The file, open and verified.

    A pinned commit whose digest is known is served from the cache without a request; otherwise one
    request asks the Hub for the commit and its digests. If the Hub cannot be reached, a verified
    copy in the cache serves, and a log line says so; if it refuses (401, 403, 404), none does.

    Args:
        request: what to fetch.
        offline: never use the network; None follows `HF_HUB_OFFLINE`.
        deadline: seconds that the whole call may take.
        progress: draw a bar while downloading; None draws one on a terminal.

    Raises:
        OfflineError: offline, and no copy is cached.
        CorruptWeightsError: the content does not have the digest, after a second download too.
        HubError: the Hub refuses, cannot be reached, or answers nonsense.
    """
    from huggingface_hub import constants

    pinned = _pinned_copy(request)
    if pinned:
        return pinned
    if constants.is_offline_mode() if offline is None else offline:
        return _cached_copy(request, "offline")
    clock = Clock(deadline)
    has_copy = _snapshot(request) is not None
    try:
        commit = resolve(
            request.repository, request.revision, clock=clock, retries=1 if has_copy else RETRIES
        )
    except UnreachableError as error:
        if has_copy:
            return _cached_copy(request, error.what)
        raise
    except OfflineError:
        return _cached_copy(request, "offline")
    return fetch_entry(request, commit, clock, progress)


def _pinned_copy(request: Request) -> VerifiedFile | None:
    """A copy in the cache that no request can make more certain."""
    commit = cache.cached_commit(request.repository, request.revision)
    if commit is None:
        return None
    pinned = commit == request.revision and known_commit(request.repository, commit)
    if not (request.sha256 or pinned):
        return None
    path = cache.snapshot_path(request.repository, commit, request.filename)
    expected = expected_in_cache(request, commit, path)
    return open_verified(request, path, commit, expected) if expected else None


def _snapshot(request: Request) -> tuple[str, Path] | None:
    commit = cache.cached_commit(request.repository, request.revision)
    if commit is None:
        return None
    path = cache.snapshot_path(request.repository, commit, request.filename)
    return (commit, path) if path.exists() else None


def _cached_copy(request: Request, why: str) -> VerifiedFile:
    """The cached copy, verified against what was recorded when it was fetched."""
    found = _snapshot(request)
    if found is None:
        raise OfflineError(
            "not in the cache, and the Hub cannot be asked",
            where=f"{request} ({why})",
            remedy=f"online: zoo pull hf-hub:{request.repository}",
        )
    commit, path = found
    expected = expected_in_cache(request, commit, path)
    file = open_verified(request, path, commit, expected)
    if file is None:
        raise CorruptWeightsError(
            f"the cached copy does not have the digest {expected.digest if expected else ''}",
            where=str(path),
            remedy=f"online: zoo pull hf-hub:{request.repository} fetches it anew",
        )
    if expected is None:
        logger.warning("%s: nothing says what the cached copy must hash to", path)
    logger.warning("%s: using the cached copy of commit %s (%s)", request, commit[:12], why)
    return file

"""Fetch a file of a repository: from the cache if it is verified there, else from the Hub."""

from __future__ import annotations

import logging

from zoo.errors import CorruptWeightsError, OfflineError
from zoo.hub.client import ATTEMPTS, Clock, UnreachableError
from zoo.hub.commits import known_commit, resolve
from zoo.hub.download import fetch_file
from zoo.hub.request import Request, cached_path, commit_of, expected_in_cache, open_verified
from zoo.weights.verified_file import VerifiedFile

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
    has_copy = cached_path(request) is not None
    try:
        commit = resolve(
            request.repository, request.revision, clock=clock, attempts=2 if has_copy else ATTEMPTS
        )
    except UnreachableError as error:
        if has_copy:
            return _cached_copy(request, error.what)
        raise
    except OfflineError:
        return _cached_copy(request, "offline")
    return fetch_file(request, commit, clock, progress)


def _pinned_copy(request: Request) -> VerifiedFile | None:
    """A copy in the cache that no request can make more certain."""
    if not (request.sha256 or known_commit(request.repository, request.revision)):
        return None
    path = cached_path(request)
    expected = expected_in_cache(request, path) if path else None
    if path is None or expected is None or expected.said_by == "unverified":
        return None
    return open_verified(request, path, commit_of(request, path), expected)


def _cached_copy(request: Request, why: str) -> VerifiedFile:
    """The cached copy, verified against what was recorded when it was fetched."""
    path = cached_path(request)
    if path is None:
        raise OfflineError(
            "not in the cache, and the Hub cannot be asked",
            where=f"{request} ({why})",
            remedy=f"online: zoo pull hf-hub:{request.repository}",
        )
    commit = commit_of(request, path)
    expected = expected_in_cache(request, path)
    file = open_verified(request, path, commit, expected)
    if file is None:
        raise CorruptWeightsError(
            f"the cached copy does not have the digest {expected.digest}",
            where=str(path),
            remedy=f"online: zoo pull hf-hub:{request.repository} fetches it anew",
        )
    if expected.said_by == "unverified":
        logger.warning("%s: nothing says what the cached copy must hash to", path)
    logger.warning("%s: using the cached copy of commit %s (%s)", request, commit[:12], why)
    return file

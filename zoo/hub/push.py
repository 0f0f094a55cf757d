"""Publish a package on the Hub: one guarded commit, read back and compared."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from zoo.errors import HubError, OfflineError
from zoo.hub.package import Package
from zoo.hub.resolve import Commit, check_request, resolve
from zoo.hub.transport import Clock, UnreachableError, http_library
from zoo.version import __version__

logger = logging.getLogger("zoo.hub")

ANSWER = 60.0  # seconds that the Hub may take for one answer while something is uploaded
Digests = Mapping[str, tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Where a package now lies."""

    repository: str
    revision: str
    url: str
    pull_request: str = ""


class _ConflictError(HubError):
    """Someone else's commit came first."""


def push(
    package: Package,
    repository: str,
    *,
    private: bool = False,
    create_pr: bool = False,
    message: str = "",
    deadline: float | None = 600.0,
) -> Published:
    """Commit a package onto the head of `main` as it is now, and compare what the Hub then holds.

    A commit that comes in between is never overwritten. If the answer to the commit is lost, the
    Hub is asked what became of it; it is not sent again unless it did not arrive.

    Raises:
        HubError: the Hub refuses; someone pushed in between; what it holds afterwards is not what
        was sent; the repository exists and is public, though `private` was asked for.
        UnreachableError: a `HubError`, no answer.
    """
    check_request(repository, "main")
    clock = Clock(deadline)
    digests = package.digests()
    _create(repository, private, clock)
    parent = resolve(repository, "main", clock=clock, fresh=True)
    if not create_pr and _holds(parent, digests):
        logger.info("%s already holds these very files", repository)
        return _published(repository, parent.sha)
    published = _commit(
        package, digests, repository, parent, create_pr, message or f"{package.model}", clock
    )
    _read_back(repository, published.revision, digests, clock)
    return published


def _create(repository: str, private: bool, clock: Clock) -> None:
    """Make the repository unless it is there; asking twice does no harm, so it is retried."""
    for wait in (0.5, 1.0, 2.0, None):
        try:
            with client_errors(repository):
                api = _api()
                api.create_repo(repository, private=private or None, exist_ok=True)
                public = private and not api.model_info(repository, timeout=ANSWER).private
        except UnreachableError as error:
            if wait is None:
                raise
            clock.sleep(wait, error.what)
            continue
        if not public:
            return
        raise HubError(
            "the repository is public, and a push does not change that",
            where=repository,
            remedy="make it private on its settings page, or push to another name",
        )


def _api() -> Any:
    from huggingface_hub import HfApi, get_session

    get_session().timeout = ANSWER  # the client's own is none
    return HfApi(library_name="attention-zoo", library_version=__version__)


def _commit(
    package: Package, digests: Digests, repository: str, parent: Commit, create_pr: bool,
    message: str, clock: Clock,
) -> Published:  # fmt: skip
    """The commit, sent at most twice, and the second time only if the first did not arrive."""
    before = _pull_requests(repository) if create_pr else set[str]()
    for attempt in (1, 2):
        try:
            with client_errors(repository):
                info = _send(package, repository, parent.sha, create_pr, message)
            return _published(repository, info.oid, info.pr_url or "")
        except HubError as error:
            arrived = _arrived(repository, parent, digests, create_pr, before, clock)
            if arrived:
                logger.warning("%s: the answer was lost, the commit is there", repository)
                return arrived
            if attempt == 2 or not isinstance(error, UnreachableError):
                raise
            logger.warning("%s: %s; the commit did not arrive, once more", repository, error.what)
    raise AssertionError


def _send(package: Package, repository: str, parent: str, create_pr: bool, message: str) -> Any:
    from huggingface_hub import CommitOperationAdd

    for content in package.files.values():
        if not isinstance(content, bytes):
            content.seek(0)
    operations = [CommitOperationAdd(name, content) for name, content in package.files.items()]
    return _api().create_commit(
        repository, operations, commit_message=message, parent_commit=parent, create_pr=create_pr
    )


def _arrived(
    repository: str, parent: Commit, digests: Digests, create_pr: bool, before: set[str],
    clock: Clock,
) -> Published | None:  # fmt: skip
    """Look whether a commit whose answer is unknown is there; `_ConflictError` for another's."""
    if create_pr:
        for reference in sorted(_pull_requests(repository) - before):
            commit = resolve(repository, reference, clock=clock, fresh=True)
            if _holds(commit, digests):
                number = reference.rpartition("/")[2]
                return _published(
                    repository, commit.sha, f"{_url(repository)}/discussions/{number}"
                )
        return None
    head = resolve(repository, "main", clock=clock, fresh=True)
    if _holds(head, digests):
        return _published(repository, head.sha)
    if head.sha != parent.sha:
        raise _ConflictError(
            f"someone pushed commit {head.sha} in between; nothing of it was overwritten",
            where=repository,
            remedy="look at it, then push again to put yours on top",
        )
    return None


def _pull_requests(repository: str) -> set[str]:
    with client_errors(repository):
        refs = _api().list_repo_refs(repository, include_pull_requests=True)
    return {ref.ref for ref in refs.pull_requests or ()}


def _holds(commit: Commit, digests: Digests) -> bool:
    return not _differences(commit, digests)


def _differences(commit: Commit, digests: Digests) -> list[str]:
    """Names of files that the commit lacks or has with another digest."""
    return [
        name
        for name, (sha256, git) in digests.items()
        if (entry := commit.files.get(name)) is None
        or (entry.sha256 != sha256 if entry.sha256 else entry.git != git)
    ]


def _read_back(repository: str, revision: str, digests: Digests, clock: Clock) -> None:
    commit = resolve(repository, revision, clock=clock, fresh=True)
    wrong = _differences(commit, digests)
    if wrong:
        raise HubError(
            f"the Hub does not hold what was sent: {', '.join(wrong)} differ",
            where=f"{repository}@{revision}",
            remedy="push again; if it stays so, tell the Hub",
        )


def _url(repository: str) -> str:
    from huggingface_hub import constants

    return f"{constants.ENDPOINT}/{repository}"


def _published(repository: str, revision: str, pull_request: str = "") -> Published:
    return Published(
        repository=repository,
        revision=revision,
        url=f"{_url(repository)}/tree/{revision}",
        pull_request=pull_request,
    )


@contextmanager
def client_errors(where: str) -> Iterator[None]:
    """Errors of the Hub client and of its transport become the project's own."""
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    http = http_library()
    try:
        yield
    except OfflineModeIsEnabled:
        raise OfflineError("publishing needs the network", where=where) from None
    except HfHubHTTPError as error:
        status = error.response.status_code
        kind = UnreachableError if status >= 500 or status in (408, 429) else HubError
        raise kind(
            f"the Hub refuses with HTTP {status}: {_said(error)}",
            where=where,
            remedy="hf auth login, with a token that may write" if status in (401, 403) else "",
        ) from None
    except (http.HTTPError, http.InvalidURL, http.StreamError) as error:
        raise UnreachableError(
            f"the Hub cannot be reached: {type(error).__name__}: {error}", where=where
        ) from None
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise HubError(f"the Hub client gave up: {error}", where=where) from None


def _said(error: Any) -> str:
    return str(getattr(error, "server_message", None) or error).strip().splitlines()[0][:200]

"""Publishing a package on the Hub by one guarded commit, which is read back and compared."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from zoo.errors import HubError, UsageError
from zoo.hub.client import Clock, UnreachableError, api, call
from zoo.hub.commits import Commit, check_request, resolve
from zoo.publish.package import Content, Package

logger = logging.getLogger("zoo.hub")

ANSWER = 60.0  # seconds that the Hub may take for one answer while something is uploaded
SLOWEST = 100_000  # bytes a second: what an upload adds to the deadline


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Where a package was published."""

    repository: str
    revision: str
    url: str
    pull_request: str = ""


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
    Hub is asked what became of it. The commit is not sent again unless it did not arrive. The Hub
    checks the card before a repository is made.

    Args:
        deadline: seconds, in addition to those that the upload takes at 100 kB/s. None means no
            deadline.

    Raises:
        HubError: the Hub refuses; someone pushed in between; what it holds afterwards is not what
            was sent; or the repository exists and is public, though `private` was asked for.
        UsageError: the Hub does not accept the card.
        UnreachableError: a `HubError`; there was no answer.
    """
    check_request(repository, "main")
    size = sum(_size(content) for content in package.files.values())
    clock = Clock(None if deadline is None else deadline + size / SLOWEST)
    sending = _Push(package, repository, create_pr, message or package.model, clock)
    sending.check_card()
    sending.create(private)
    sending.parent = resolve(repository, "main", clock=clock, fresh=True)
    if not create_pr and not sending.differences(sending.parent):
        logger.info("%s already holds these very files", repository)
        return _published(repository, sending.parent.sha)
    published = sending.commit()
    sending.read_back(published.revision)
    return published


def _size(content: Content) -> int:
    return len(content) if isinstance(content, bytes) else content.seek(0, 2)


@dataclass(slots=True)
class _Push:
    """One push: what is sent where, and on which head."""

    package: Package
    repository: str
    create_pr: bool
    message: str
    clock: Clock
    parent: Commit = field(init=False)
    digests: Mapping[str, tuple[str, str]] = field(init=False)

    def __post_init__(self) -> None:
        self.digests = self.package.digests()

    def ask(self, function: Any, attempts: int = 4) -> Any:
        from huggingface_hub import get_session

        def patient() -> Any:
            get_session().timeout = ANSWER  # the client's own is none
            return function()

        return call(patient, where=self.repository, clock=self.clock, attempts=attempts)

    def check_card(self) -> None:
        """Let the Hub look at the card first, so that no empty repository is left if it refuses."""
        from huggingface_hub import ModelCard

        card = self.package.files.get("README.md")
        if not isinstance(card, bytes):
            return

        def validate() -> None:
            try:
                ModelCard(card.decode(), ignore_metadata_errors=True).validate(repo_type="model")
            except ValueError as error:
                if type(error) is not ValueError:
                    raise
                raise UsageError(
                    f"the Hub does not take the card: {' '.join(str(error).split())[:300]}",
                    where=self.repository,
                    remedy="--license: an identifier of huggingface.co/docs/hub/"
                    "repositories-licenses",
                ) from None

        self.ask(validate)

    def create(self, private: bool) -> None:
        """Make the repository unless it is there. Asking twice does no harm."""
        hub = api()
        self.ask(partial(hub.create_repo, self.repository, private=private or None, exist_ok=True))
        if (
            private
            and not self.ask(partial(hub.model_info, self.repository, timeout=ANSWER)).private
        ):
            raise HubError(
                "the repository is public, and a push does not change that",
                where=self.repository,
                remedy="make it private on its settings page, or push to another name",
            )

    def commit(self) -> Published:
        """Send the commit, at most twice, and the second time only if the first did not arrive."""
        before = self.pull_requests() if self.create_pr else set[str]()
        for attempt in (1, 2):
            try:
                info = self.ask(self.send, attempts=1)
                return _published(self.repository, info.oid, info.pr_url or "")
            except HubError as error:
                arrived = self.arrived(before)
                if arrived:
                    logger.warning("%s: the answer was lost, the commit is there", self.repository)
                    return arrived
                if attempt == 2 or not isinstance(error, UnreachableError):
                    raise
                logger.warning("%s: %s; the commit did not arrive", self.repository, error.what)
        raise AssertionError

    def send(self) -> Any:
        from huggingface_hub import CommitOperationAdd

        for content in self.package.files.values():
            if not isinstance(content, bytes):
                content.seek(0)
        operations = [CommitOperationAdd(n, content) for n, content in self.package.files.items()]
        return api().create_commit(
            self.repository, operations, commit_message=self.message,
            parent_commit=self.parent.sha, create_pr=self.create_pr,
        )  # fmt: skip

    def arrived(self, before: set[str]) -> Published | None:
        """The commit whose answer was lost, if it is there.

        Raises:
            HubError: a commit of somebody else is there.
        """
        self.clock = Clock(ANSWER)  # to look is worth a minute, also after the deadline
        if self.create_pr:
            return self.arrived_as_pull_request(before)
        head = resolve(self.repository, "main", clock=self.clock, fresh=True)
        if not self.differences(head):
            return _published(self.repository, head.sha)
        if head.sha != self.parent.sha:
            raise HubError(
                f"someone pushed commit {head.sha} in between; nothing of it was overwritten",
                where=self.repository,
                remedy="look at it, then push again to put yours on top",
            )
        return None

    def arrived_as_pull_request(self, before: set[str]) -> Published | None:
        for reference in sorted(self.pull_requests() - before):
            commit = resolve(self.repository, reference, clock=self.clock, fresh=True)
            if not self.differences(commit):
                number = reference.rpartition("/")[2]
                url = f"{_url(self.repository)}/discussions/{number}"
                return _published(self.repository, commit.sha, url)
        return None

    def pull_requests(self) -> set[str]:
        list_refs = partial(api().list_repo_refs, self.repository, include_pull_requests=True)
        return {ref.ref for ref in self.ask(list_refs).pull_requests or ()}

    def differences(self, commit: Commit) -> list[str]:
        """The names of files that the commit lacks, or has with another digest."""
        return [
            name
            for name, digests in self.digests.items()
            if (entry := commit.files.get(name)) is None or entry.digest not in digests
        ]

    def read_back(self, revision: str) -> None:
        commit = resolve(self.repository, revision, clock=self.clock, fresh=True)
        wrong = self.differences(commit)
        if wrong:
            raise HubError(
                f"the Hub does not hold what was sent: {', '.join(wrong)} differ",
                where=f"{self.repository}@{revision}",
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

"""Weights over the Hub: fetched once, verified always, usable offline.

`fetch(spec)` gives the open, verified file of a `WeightsSpec`; `local_file(path)` that of a user.
The Hub's client does the transfers. It is imported in the functions that call it, since that takes
a fifth of a second, which commands that need no network should not cost.
"""

from __future__ import annotations

from zoo.errors import WeightsNotFoundError
from zoo.hub.pull import pull
from zoo.hub.repository import open_repository
from zoo.hub.request import Request
from zoo.hub.timm_weights import timm_weights
from zoo.registry.specs import WeightsSpec
from zoo.weights.verified_file import VerifiedFile, bundled_file, local_file

__all__ = [
    "Request",
    "VerifiedFile",
    "fetch",
    "local_file",
    "open_repository",
    "pull",
    "timm_weights",
]


def fetch(
    spec: WeightsSpec,
    *,
    offline: bool | None = None,
    deadline: float | None = None,
    progress: bool | None = None,
) -> VerifiedFile:
    """The weights of a spec: open, with the digest that the manifest or the Hub states.

    Args:
        spec: bundled in a package, or on the Hub.
        offline: never use the network; None follows `HF_HUB_OFFLINE`.
        deadline: seconds that the call may take; None is bounded by the retries alone.
        progress: draw a bar while downloading; None draws one on a terminal.

    Raises:
        WeightsNotFoundError: the weights are unpublished, or a bundled file is not installed.
        CorruptWeightsError, HubError, OfflineError: see `pull`.
    """
    if spec.kind == "bundled":
        return bundled_file(spec)
    if not spec.repository:
        raise WeightsNotFoundError(
            f"the weights {spec.model}.{spec.tag} are not published",
            remedy=f"zoo train {spec.recipe}" if spec.recipe else "train the model",
        )
    request = Request(
        repository=spec.repository,
        revision=spec.revision or "main",
        filename=spec.filename,
        sha256=spec.sha256,
    )
    return pull(request, offline=offline, deadline=deadline, progress=progress)

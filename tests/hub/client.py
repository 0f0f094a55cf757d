"""The client's side, in a process of its own: `python -m hub.client '{"op": "pull", ...}'`.

Prints one JSON object: what came of the operation, or the error's class and text. An error that is
not the zoo's own is `raw`, which no test accepts.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import warm

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def _drop_override() -> None:
    """Give up root's right to read and write where the mode forbids it."""
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        if ctypes.CDLL(None).prctl(24, capability, 0, 0, 0):  # PR_CAPBSET_DROP
            raise OSError("the capability cannot be dropped")


ordinary = _drop_override if os.geteuid() == 0 else None
"""Is called first in a process that the modes of files bind, also where root starts it (Linux)."""


@dataclass
class Client:
    """Runs operations against a server, with a home (cache) of its own."""

    endpoint: str
    home: Path
    env: dict[str, str] = field(default_factory=dict)

    def environment(self, **env: str) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "ZOO_"))}
        paths = (ROOT, ROOT / "plugins", ROOT / "weights", HERE.parent)
        return kept | {
            "HF_ENDPOINT": self.endpoint,
            "HF_HOME": str(self.home),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DOWNLOAD_TIMEOUT": "1",
            "HF_HUB_ETAG_TIMEOUT": "1",
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
            "OMP_NUM_THREADS": "1",
        } | self.env | env  # fmt: skip

    def start(
        self,
        op: str,
        env: dict[str, str] | None = None,
        before: Callable[[], Any] | None = None,
        **arguments: Any,
    ) -> Any:
        command = [sys.executable, "-m", "hub.client", json.dumps({"op": op, **arguments})]
        return subprocess.Popen(
            command, env=self.environment(**env or {}), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=before,
        )  # fmt: skip

    def run(self, op: str, env: dict[str, str] | None = None, **arguments: Any) -> dict[str, Any]:
        return self.finish(self.start(op, env, **arguments))

    @staticmethod
    def finish(process: Any, timeout: float = 90) -> dict[str, Any]:
        out, err = process.communicate(timeout=timeout)
        if process.returncode:
            raise AssertionError(f"exit code {process.returncode}\n{out}\n{err}")
        return json.loads(out.splitlines()[-1]) | {"stderr": err}

    def cli(
        self,
        *arguments: str,
        env: dict[str, str] | None = None,
        before: Callable[[], Any] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run the `zoo` program.

        Args:
            before: is called first; what it drops, a process loses only as it starts a program.
        """
        call, environment = ["-m", "zoo", *arguments], self.environment(**env or {})
        if before is None:
            return warm.run(call, env=environment, timeout=120)
        return subprocess.run(
            [sys.executable, *call], env=environment, preexec_fn=before,
            text=True, capture_output=True, timeout=120, check=False,
        )  # fmt: skip

    def blobs(self) -> list[Path]:
        """Every regular file in the Hub's cache of this home."""
        found = (p for p in (self.home / "hub").rglob("*") if p.is_file() and not p.is_symlink())
        return [p for p in found if p.suffix != ".lock" and "refs" not in p.parts]

    def blobs_of(self, repository: str) -> list[Path]:
        folder = "models--" + repository.replace("/", "--")
        return [p for p in self.blobs() if folder in p.parts]


def pull(repository: str, revision: str = "main", filename: str = "model.safetensors",
         sha256: str = "", read: bool = False, **options: Any) -> dict[str, Any]:  # fmt: skip
    from zoo.hub import Request, pull
    from zoo.weights.safetensors_file import inspect

    request = Request(repository=repository, revision=revision, filename=filename, sha256=sha256)
    with pull(request, **options) as file:
        file.handle.seek(0)
        content = file.handle.read()
        result = {**file.record(), "path": str(file.path), "bytes": len(content)}
        if read:
            result["tensors"] = sorted(inspect(file).tensors)
    return result


def repository(name: str) -> dict[str, Any]:
    from zoo.hub import fetch, open_repository

    config, spec = open_repository(name)
    with fetch(spec) as file:
        return {
            "architecture": config.architecture,
            "commits": [spec.revision, file.revision],
            "sha256": file.sha256,
        }


def push(repository: str, files: dict[str, str], **options: Any) -> dict[str, Any]:
    """Push files of text."""
    from dataclasses import asdict

    from zoo.publish.package import Package
    from zoo.publish.push import push

    content = {name: text.encode() for name, text in files.items()}
    package = Package("net", "", content)
    return asdict(push(package, repository, **options))


def bare_push(repository: str, files: dict[str, str], parent: str | None = None) -> dict[str, Any]:
    """What the Hub client does alone."""
    from huggingface_hub import CommitOperationAdd, HfApi

    adds = [CommitOperationAdd(name, text.encode()) for name, text in files.items()]
    info = HfApi().create_commit(repository, adds, commit_message="x", parent_commit=parent)
    return {"revision": info.oid}


def build(names: list[str], pretrained: bool = True) -> dict[str, Any]:
    """Build each name; of what cannot be built, the error, its seconds and its megabytes."""
    import resource
    import time

    import timm  # noqa: F401

    import zoo

    rows = []
    for name in names:
        start, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            zoo.create_model(name, pretrained=pretrained)
            outcome, raw = "built", False
        except Exception as error:
            outcome, raw = str(error), not isinstance(error, zoo.ZooError)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        seconds = time.process_time() - start
        rows.append({"outcome": outcome, "raw": raw, "seconds": seconds, "mb": grown / 1024})
    return {"rows": rows}


def pull_twice(repository: str) -> dict[str, Any]:
    """Pull twice, counting how often a whole file was read to be hashed."""
    from zoo.weights import remembered

    counts, real = [0], remembered.content_digest

    def counted(file: Any, algorithm: str) -> str:
        counts[0] += 1
        return real(file, algorithm)

    remembered.content_digest = counted
    seen = []
    for _ in range(2):
        pull(repository)
        seen.append(counts[0])
    return {"hashed": seen}


def bare(repository: str, revision: str = "main", filename: str = "model.safetensors",
         **options: Any) -> dict[str, Any]:  # fmt: skip
    """What the Hub client does alone."""
    import hashlib

    from huggingface_hub import hf_hub_download

    path = hf_hub_download(repository, filename, revision=revision, **options)
    content = Path(path).read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return {"path": path, "sha256": digest, "bytes": len(content)}


def bare_snapshot(repository: str) -> dict[str, Any]:
    from huggingface_hub import snapshot_download

    folder = Path(snapshot_download(repository))
    return {"files": sorted(path.name for path in folder.iterdir())}


def bare_pair(repository: str) -> dict[str, Any]:
    """Two files of a branch, as timm asks for them."""
    names = ("config.json", "model.safetensors")
    paths = [Path(bare(repository, filename=name)["path"]) for name in names]
    return {"commits": [path.parent.name for path in paths]}


def main() -> None:
    arguments = json.loads(sys.argv[1])
    op = globals()[arguments.pop("op")]
    logging.basicConfig(level=logging.INFO, format="%(name)s %(levelname)s %(message)s")
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    from zoo.errors import ZooError

    try:
        result = {"ok": True, **op(**arguments)}
    except ZooError as error:
        result = {"ok": False, "error": type(error).__name__, "what": str(error), "raw": False}
    except Exception as error:
        result = {"ok": False, "error": type(error).__name__, "what": str(error), "raw": True}
    result["torch"] = "torch" in sys.modules
    print(json.dumps(result))


if __name__ == "__main__":
    main()

"""Scratch environments: what the running one has, except the zoo, which each test installs."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]
VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
RUNNING = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
PIP_INSTALL = ("install", "--no-deps", "--no-index", "--no-build-isolation", "--ignore-installed")


class Environment:
    """A virtual environment that sees the packages of those beneath it, and writes its own.

    Path files of the folders beneath are not processed, so an editable zoo there stays unseen.
    """

    def __init__(self, folder: Path, *beneath: Environment) -> None:
        venv.create(folder, symlinks=True)
        self.python = folder / "bin" / "python"
        self.site = folder / "lib" / VERSION / "site-packages"
        seen = [*(str(other.site) for other in beneath), *RUNNING]
        (self.site / "beneath.pth").write_text("\n".join(seen) + "\n")

    def install(self, *what: str | Path) -> None:
        """pip install, offline, without dependencies."""
        pip = [sys.executable, "-m", "pip", "--python", str(self.python), *PIP_INSTALL]
        run([*pip, *map(str, what)], check=True)

    def __call__(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `python COMMAND`, away from the checkout."""
        return run([str(self.python), *command], cwd=self.site, environment=environment)

    def zoo(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the installed `zoo COMMAND`."""
        script = self.python.parent / "zoo"
        program = [str(script)] if script.exists() else [str(self.python), "-m", "zoo"]
        return run([*program, *command], cwd=self.site, environment=environment)


def run(
    command: list[str],
    *,
    cwd: Path | None = None,
    environment: dict[str, str] | None = None,
    check: bool = False,
) -> subprocess.CompletedProcess[str]:
    """A command's outcome; none of the caller's settings of the zoo or of Python reach it."""
    hidden = ("PYTHONPATH", "ZOO_", "PYTEST_", "VIRTUAL_ENV")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(hidden)}
    kept |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"} | (environment or {})
    done = subprocess.run(command, cwd=cwd, env=kept, capture_output=True, text=True)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(command)}\n{done.stdout}\n{done.stderr}")
    return done

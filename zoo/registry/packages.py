"""Which packages of others a model or a mechanism is from, for files that say what they are.

Whoever opens such a file may not have the plugin. Then an unknown name is answered with the package
that the file names. A file may be a stranger's: nothing is installed, and the message says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any, cast

from zoo.errors import AmbiguousNameError, UnknownNameError
from zoo.registry import Registry, default_registry, names
from zoo.registry.index import Named
from zoo.version import DISTRIBUTION

MOST = 8  # packages of one file
_PACKAGE = re.compile(r"[A-Za-z0-9]([\w.-]{0,98}[A-Za-z0-9])?\Z", re.ASCII)


def of_model(name: str, attention: str = "") -> list[str]:
    """The packages, beside the zoo's own, that state a model or its parts.

    Args:
        name: of the model.
        attention: of the mechanism, where `attention=` named it.
    """
    registry = default_registry()
    try:
        read = names.parse(name, registry)
    except (UnknownNameError, AmbiguousNameError):  # of another registry, or of timm's Hub
        return []
    own, spec = read.attention, read.spec
    attentions = (attention, own.name if own else "", spec.attention if spec else "")
    backbone = spec.backbone if spec else read.backbone
    parts = [spec, registry.backbones.get(backbone), *map(registry.attentions.get, attentions)]
    return _of(parts, registry)


def of_attentions(mechanisms: Iterable[str]) -> list[str]:
    """The packages, beside the zoo's own, that state these mechanisms."""
    registry = default_registry()
    return _of((registry.attentions.get(name) for name in mechanisms), registry)


def _of(specs: Iterable[Named | None], registry: Registry) -> list[str]:
    found = {registry.distribution(spec) for spec in specs if spec is not None}
    return sorted(found - {"", DISTRIBUTION})


def stated(value: object) -> tuple[str, ...]:
    """The packages that a file names; what could be none is left out."""
    rows = cast(Sequence[Any], value) if isinstance(value, list | tuple) else ()
    return tuple(r for r in rows[:MOST] if isinstance(r, str) and _PACKAGE.match(r))


def known(look_up: Callable[[], object], packages: Sequence[str], where: str) -> None:
    """Look a name up that a file states. If nothing has it, the error names the file's packages.

    Raises:
        UnknownNameError: nothing has the name, and the file says which packages it is from.
    """
    if not packages:
        return
    try:
        look_up()
    except UnknownNameError as error:
        what = error.what.partition(";")[0]
        absent = [name for name in packages if not _is_installed(name)]
        if absent:
            listed = ", ".join(absent)
            raise UnknownNameError(
                f"{what}: the file says that it is from {listed}, which is not installed",
                where=where, remedy=f"pip install {' '.join(absent)}, if you trust it",
            ) from None  # fmt: skip
        raise UnknownNameError(
            f"{what}: the file says that it is from {', '.join(packages)}, which is installed and "
            "does not offer it",
            where=where, remedy="zoo plugins; ZOO_PLUGINS may leave it out",
        ) from None  # fmt: skip
    except AmbiguousNameError:  # whoever builds it is told
        return


def _is_installed(package: str) -> bool:
    try:
        return bool(distribution(package))
    except PackageNotFoundError:
        return False

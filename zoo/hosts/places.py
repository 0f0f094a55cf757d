"""What `at=` names: modules of the host, by paths, patterns, or a function."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, TypeAlias

from torch import nn

from zoo.errors import UsageError
from zoo.hosts.swap import RECORD
from zoo.registry.names import LONGEST

At: TypeAlias = (
    str
    | Sequence[str]
    | Callable[[str, nn.Module], bool]
    | Mapping[str, str]
    | Sequence[Mapping[str, str]]
)


def named(model: nn.Module, at: Any) -> list[str]:
    """The paths of the modules that `at` names, each once, in the order of the host.

    Raises:
        UsageError: something in `at` names nothing, with the closest paths.
    """
    everything = _own_modules(model)
    if callable(at):
        wanted = {path for path, module in everything.items() if at(path, module)}
        if not wanted:
            raise UsageError("the function says no of every module", where="at")
    else:
        wanted = {path for pattern in _patterns(at) for path in _matching(everything, pattern)}
    first: dict[int, str] = {}  # a module that has several paths is attended once, at the first
    for path, module in everything.items():
        first.setdefault(id(module), path)
    chosen = {first[id(everything[path])] for path in wanted}
    return [path for path in everything if path in chosen]


def _own_modules(model: nn.Module) -> dict[str, nn.Module]:
    """Every module of the host under each of its paths, without what was added to it."""
    everything = dict(model.named_modules(remove_duplicate=False))
    forms = tuple(f"{path}." for path, m in everything.items() if RECORD in vars(m))
    return {p: m for p, m in everything.items() if not f"{p}.".startswith(forms)}


def _patterns(at: Any) -> list[str]:
    patterns = [at] if isinstance(at, str) else at
    if not isinstance(patterns, Sequence) or not all(isinstance(p, str) for p in patterns):
        raise UsageError(
            f"at={at!r:.100} is neither paths nor a function",
            where="at",
            remedy='at=["layer3", "layer4.*"], or at=lambda path, module: ...',
        )
    if not patterns:
        raise UsageError("no place is named", where="at=[]", remedy='at=["layer4"]')
    return list(patterns)


def _matching(everything: dict[str, nn.Module], pattern: str) -> list[str]:
    """The module of that path (the items, where it is a mere list of modules), or all that match.

    In a pattern `*` and `?` stand for letters of one name and `**` for any number of names.
    """
    if pattern in everything:
        found = [pattern]
    elif not any(letter in pattern for letter in "*?["):
        found = _continued(everything, pattern)
    else:
        expression = _expression(pattern)
        found = [path for path in everything if path and expression.fullmatch(path)]
    if not found:
        raise _nothing(everything, pattern)
    items = [path for each in found for path in _items(each, everything[each])]
    if not items:
        raise UsageError(f"{pattern!r} names a list without modules", where="at")
    return items


def _continued(everything: dict[str, nn.Module], prefix: str) -> list[str]:
    """The paths of the same depth that begin so: `layer` names `layer1`, `layer2`, ..."""
    if not prefix or prefix.endswith("."):
        return []
    expression = re.compile(re.escape(prefix) + r"\d+")
    return [path for path in everything if expression.fullmatch(path)]


def _items(path: str, module: nn.Module) -> list[str]:
    """The path; of a mere list or dict of modules those of its items, which may be lists too."""
    listed = isinstance(module, nn.ModuleList | nn.ModuleDict)
    if not listed or type(module).forward is not nn.Module.forward:
        return [path]
    inner = ((f"{path}.{name}" if path else name, m) for name, m in module.named_children())
    return [item for each, m in inner for item in _items(each, m)]


def _expression(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*|\*|\?|\[[^]]+\])", pattern)
    meaning = {"**": ".*", "*": "[^.]*", "?": "[^.]"}
    try:
        return re.compile("".join(meaning.get(part) or _letters(part) for part in parts))
    except re.error as error:
        raise UsageError(f"the pattern {pattern!r} cannot be read: {error}", where="at") from error


def _letters(part: str) -> str:
    """Letters as they are, or a set of letters as in a shell: `[34]`, `[a-f]`, `[!3]`."""
    if not (part.startswith("[") and part.endswith("]")):
        return re.escape(part)
    inner = part[1:-1].replace("\\", r"\\").replace("[", r"\[")
    return f"[^{inner[1:]}]" if inner.startswith("!") else f"[{inner}]"


def _nothing(everything: dict[str, nn.Module], pattern: str) -> UsageError:
    close = get_close_matches(pattern[:LONGEST], [p for p in everything if p], n=3, cutoff=0.5)
    hint = f"; the closest are {', '.join(map(repr, close))}" if close else ""
    return UsageError(
        f"no module of the model has the path {pattern!r}{hint}",
        where="at",
        remedy="zoo.list_sites(model, example) lists places",
    )

"""A fault of PyTorch's that is kept from scripting: operators that it knows by a freed address."""

from __future__ import annotations

from typing import Any

import torch
from torch.jit import _builtins

OWN = ("aten", "prim")  # PyTorch's own operators: functions that are never freed


def forget_freed_operators() -> None:
    """Take from TorchScript's table of operators the ones that are no more.

    The table knows an operator by the address of its Python object. An operator that gains an
    overload gets a new object (`torch.compile` adds some as it is first called); the old one's
    address stays in the table, and whatever lies there next is taken for an operator: scripting
    then fails with "builtin cannot be used as a value" for any attribute of any module.
    """
    table = _builtins._get_builtin_table()
    for address, name in tuple(table.items()):
        namespace, _, operator = name.partition("::")
        if namespace not in OWN and id(_present(namespace, operator)) != address:
            del table[address]


def _present(namespace: str, operator: str) -> Any:
    """The object of an operator as it is now."""
    packet = vars(getattr(torch.ops, namespace)).get(operator)
    return getattr(packet, "_op", None)

"""The graph of a module, from one run: torch tells of every function, the module of its layers.

A symbolic trace fails where a forward pass looks at sizes or loops. Here the module really runs on
an example, so that what is drawn is what was computed, in the names of the code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from zoo.testing.trial import tensors_of

from .graph import Node, folded
from .words import detail_of, label_of, shape_of

# What only arranges numbers, or changes none in eval: it is drawn as a line.
QUIET = frozenset(
    "view reshape flatten unflatten permute transpose movedim swapaxes contiguous expand expand_as "
    "unsqueeze squeeze to float double half type type_as clone detach view_as reshape_as T mT H "
    "dropout feature_dropout requires_grad_ __getitem__ narrow select alias identity moveaxis "
    "broadcast_to adjoint t numpy ravel".split()
)  # fmt: skip
QUIET_LAYERS = (nn.Identity, nn.Dropout, nn.Flatten, nn.Unflatten)
LEAVES = ("torch.nn.", "timm.layers.", "torchvision.")


class Trace:
    """The run of a module: who made which tensor.

    Args:
        module: it is run in eval mode.
        depth: how many levels of modules are opened; None opens all but torch's own layers.
    """

    def __init__(self, module: nn.Module, depth: int | None = None) -> None:
        self.paths = {child: path for path, child in module.named_modules()}
        self.depth, self.level, self.silent, self.inside = depth, 0, 0, False
        self.made: dict[int, Node] = {}
        self.alive: list[Any] = []
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
            kind = "learned" if isinstance(tensor, nn.Parameter) else "constant"
            self._note(tensor, Node(kind, name, shape=shape_of(tensor)))

    def run(self, module: nn.Module, inputs: tuple[Any, ...]) -> list[Node]:
        """The nodes of the graph, in an order in which they can be computed."""
        given = list(tensors_of(inputs))
        for i, tensor in enumerate(given):
            name = "x" if len(given) == 1 else f"input {i + 1}"
            self._note(tensor, Node("input", name, shape=shape_of(tensor)))
        with torch.no_grad(), self._listening(), _Functions(self):
            returned = module.eval()(*inputs)
        results = list(tensors_of(returned))
        outputs = [
            Node("output", "y" if len(results) == 1 else f"output {i + 1}", "", shape_of(tensor),
                 self._sources([tensor]))
            for i, tensor in enumerate(results)
        ]  # fmt: skip
        return folded(outputs)

    def operation(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        """Note an operation of torch."""
        if name in QUIET:
            self._pass_on(args, kwargs, result)
        else:
            self._result(Node("operation", label_of(name, args, kwargs)), args, kwargs, result)

    def layer(self, module: nn.Module, args: Any, kwargs: Any, result: Any) -> None:
        """Note a layer that is not opened."""
        if isinstance(module, QUIET_LAYERS):
            self._pass_on(args, kwargs, result)
        else:
            path = self.paths.get(module, "")
            name = type(module).__name__
            node = Node("layer", f"{path}: {name}" if path else name, detail_of(module))
            self._result(node, args, kwargs, result)

    def is_leaf(self, module: nn.Module) -> bool:
        """Whether a module is one box."""
        own = not type(module).__module__.startswith(LEAVES)
        is_list = isinstance(module, nn.Sequential)
        deep = self.depth is not None and self.level >= self.depth
        return self.inside and (deep or not (own or is_list))

    def knows(self, result: Any) -> bool:
        """Whether it is known who made every tensor of a result."""
        return all(id(tensor) in self.made for tensor in tensors_of(result))

    def _result(self, node: Node, args: Any, kwargs: Any, result: Any) -> None:
        made = list(tensors_of(result))
        if not made:
            return
        node.sources = self._sources(tensors_of((args, kwargs)))
        node.shape = shape_of(made[0])
        for tensor in made:
            self._note(tensor, node)

    def _pass_on(self, args: Any, kwargs: Any, result: Any) -> None:
        sources = self._sources(tensors_of((args, kwargs)))
        for tensor in tensors_of(result):
            node = sources[0] if sources else Node("constant", "constant", shape=shape_of(tensor))
            self._note(tensor, node)

    def _sources(self, tensors: Any) -> list[Node]:
        return list(dict.fromkeys(self._maker(tensor) for tensor in tensors))

    def _maker(self, tensor: Tensor) -> Node:
        if id(tensor) not in self.made:
            self._note(tensor, Node("constant", "constant", shape=shape_of(tensor)))
        return self.made[id(tensor)]

    def _note(self, tensor: Tensor, node: Node) -> None:
        self.alive.append(tensor)  # an id must not be given to another tensor
        self.made[id(tensor)] = node

    @contextmanager
    def _listening(self) -> Iterator[None]:
        original = nn.Module.__call__

        def call(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            return self._called(original, module, args, kwargs)

        with mock.patch.object(nn.Module, "__call__", call):
            yield

    def _called(self, original: Callable[..., Any], module: nn.Module, args: Any, kw: Any) -> Any:
        leaf, outermost = self.is_leaf(module), not self.inside
        self.inside = True
        self.level += not isinstance(module, nn.Sequential | nn.ModuleList)
        self.silent += leaf
        try:
            result = original(module, *args, **kw)
        finally:
            self.level -= not isinstance(module, nn.Sequential | nn.ModuleList)
            self.silent -= leaf
            self.inside = not outermost
        if not self.silent and (leaf or not self.knows(result)):
            self.layer(module, args, kw, result)
        return result


class _Functions(TorchFunctionMode):
    """Tells a trace of every function of torch that runs outside its closed layers."""

    def __init__(self, trace: Trace) -> None:
        super().__init__()
        self.trace = trace

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        name = getattr(func, "__name__", "function")
        if name == "__get__":  # an attribute such as x.mT
            name = getattr(getattr(func, "__self__", None), "__name__", name)
        if self.trace.silent or name == "__set__":
            return result
        if name == "__setitem__":  # gives nothing, but changes the tensor that it is called on
            self.trace.operation("write", args, kwargs, args[0])
        else:
            self.trace.operation(name, args, kwargs, result)
        return result


def trace(module: nn.Module, inputs: tuple[Any, ...], most: int = 46) -> list[Node]:
    """The graph, opened as far as it stays readable: at most `most` nodes, if that can be."""
    nodes: list[Node] = []
    for depth in (None, 3, 2, 1):
        nodes = Trace(module, depth).run(module, inputs)
        if len(nodes) <= most:
            break
    return nodes

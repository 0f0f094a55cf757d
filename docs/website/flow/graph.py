"""What a trace is made of: nodes that stand for layers and operations, and who feeds whom."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["input", "learned", "constant", "layer", "operation", "output"]


@dataclass(slots=True)
class Node:
    """A layer, an operation, or where a tensor comes from; `shape` is that of what it gives.

    Attributes:
        kind: what it is.
        label: what is written into its box.
        detail: a second, smaller line, such as a layer's sizes.
        shape: of its result, as text.
        sources: the nodes whose results it takes, in order.
    """

    kind: Kind
    label: str
    detail: str = ""
    shape: str = ""
    sources: list[Node] = field(default_factory=list)

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other


def reachable(outputs: Iterable[Node]) -> list[Node]:
    """The nodes that the outputs depend on, every node after its sources."""
    ordered: dict[Node, None] = {}
    stack = [(node, False) for node in reversed(list(outputs))]
    while stack:
        node, ready = stack.pop()
        if node in ordered:
            continue
        if ready:
            ordered[node] = None
            continue
        stack.append((node, True))
        stack += [(source, False) for source in reversed(node.sources) if source not in ordered]
    return list(ordered)


def folded(outputs: list[Node]) -> list[Node]:
    """The graph with each part that no input reaches as one node: learned, or constant."""
    nodes = reachable(outputs)
    fed: set[Node] = set()
    for node in nodes:
        if node.kind == "input" or any(source in fed for source in node.sources):
            fed.add(node)
    for node in nodes:
        if node in fed:
            node.sources = _unique(s if s in fed else _origin(s) for s in node.sources)
    return reachable(outputs)


def _unique(nodes: Iterable[Node]) -> list[Node]:
    return list(dict.fromkeys(nodes))


def _origin(node: Node) -> Node:
    """A node without sources for a part of the graph that depends on parameters alone, or none."""
    if not node.sources:
        return node
    learned = [n.label for n in reachable([node]) if n.kind == "learned"]
    if node.kind != "constant" and node.kind != "learned":
        node.kind = "learned" if learned else "constant"
        shown = ", ".join(learned[:3]) + (", …" if len(learned) > 3 else "")
        node.label, node.detail = (shown, "") if learned else ("constant", node.label)
    node.sources = []
    return node

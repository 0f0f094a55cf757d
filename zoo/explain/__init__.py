"""`zoo.explain(model, image)`: what a model saw, and what its attention did; and its package.

The package can be called, so that `zoo.explain` is the function and `zoo.explain.glimpses` its
module. What it does is said at `zoo.explain.explaining.explain`.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    """A package that is called as its main function."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        from zoo.explain.explaining import explain

        return explain(*args, **options)


sys.modules[__name__].__class__ = _Callable

"""Digits on canvases: translated, cluttered, paired and distorted MNIST.

They are drawn on the fly from MNIST, and never kept in files.
"""

from zoo.registry.hookspecs import hookimpl
from zoo.registry.specs import DatasetSpec
from zoo_plugins.datasets.canvases.specs import DATASETS


@hookimpl
def zoo_datasets() -> tuple[DatasetSpec, ...]:
    return DATASETS

"""House numbers: `svhn_*` are photographs from the user's own files, and `synthetic_numbers*` are
drawn from fonts, without any photograph."""

from zoo.registry.hookspecs import hookimpl
from zoo.registry.specs import DatasetSpec
from zoo_plugins.datasets.house_numbers.specs import DATASETS


@hookimpl
def zoo_datasets() -> tuple[DatasetSpec, ...]:
    return DATASETS

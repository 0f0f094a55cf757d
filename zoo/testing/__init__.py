"""The conformance kit that authors of plugins run.

    @pytest.mark.parametrize("check", zoo.testing.CHECKS, ids=lambda check: check.__name__)
    def test_conformance(check):
        check("my_attention")

    def test_plugin():
        zoo.testing.check_plugin("zoo_my_attention")

    def test_network():
        zoo.testing.check_network("my_network")

A check takes the name of an attention or its spec, which need not be registered. It returns None,
or raises an `AssertionError` that says what is wrong. A check that cannot apply, such as that of
the identity start for a mechanism that has none, raises `unittest.SkipTest`, which pytest shows as
skipped.

What a module is given follows from the contract in its spec, at 64 channels: a map (4, 64, 8, 8),
tokens or a set (4, 64, 64), a query (4, 5, 64) and a memory (4, 9, 64), or two maps. Where that
does not fit, `zoo.Trial(example=...)` in the spec says how the module is built and what it is
given.

The check of the warm start trains a small network, which takes about a second for an attention; the
others take some milliseconds.
"""

from __future__ import annotations

from types import ModuleType
from unittest import SkipTest

from zoo.testing.behaviour import (
    BEHAVIOUR,
    check_batch_independence,
    check_channels_last,
    check_copies,
    check_factory_arguments,
    check_mask,
    check_output,
    check_randomness,
    check_sizes,
    check_unknown_option,
)
from zoo.testing.deployment import (
    DEPLOYMENT,
    check_checkpointing,
    check_half_precision,
    check_meta_device,
    check_takes_part,
)
from zoo.testing.learning import LEARNING, check_gradients, check_identity_start
from zoo.testing.networks import check_network
from zoo.testing.trial import MAPS, Attention, Check
from zoo.testing.warm_start import WARM_START, check_warm_start
from zoo.testing.whole_plugin import check_import_is_light, check_plugin_with

__all__ = [
    "CHECKS",
    "MAPS",
    "Attention",
    "Check",
    "check_attention",
    "check_batch_independence",
    "check_channels_last",
    "check_checkpointing",
    "check_copies",
    "check_factory_arguments",
    "check_gradients",
    "check_half_precision",
    "check_identity_start",
    "check_import_is_light",
    "check_mask",
    "check_meta_device",
    "check_network",
    "check_output",
    "check_plugin",
    "check_randomness",
    "check_sizes",
    "check_takes_part",
    "check_unknown_option",
    "check_warm_start",
]

CHECKS: tuple[Check, ...] = (*BEHAVIOUR, *LEARNING, *DEPLOYMENT, *WARM_START)


def check_attention(attention: Attention) -> None:
    """Run every check that applies to an attention, given by name or by spec."""
    for check in CHECKS:
        try:
            check(attention)
        except SkipTest:
            continue


def check_plugin(plugin: ModuleType | str) -> None:
    """Check a whole plugin.

    Importing it imports no torch, it has no problem, its targets exist, and its attentions conform.
    """
    check_plugin_with(plugin, check_attention)

"""The conformance kit that plugin authors run.

    @pytest.mark.parametrize("check", zoo.testing.CHECKS, ids=lambda check: check.__name__)
    def test_conformance(check):
        check("my_attention")

    def test_plugin():
        zoo.testing.check_plugin("zoo_my_attention")

A check takes an attention's name or its spec (which need not be registered), returns None, or
raises an `AssertionError` that says what is wrong. One that cannot apply, as the identity start of
a mechanism that has none, raises `unittest.SkipTest`, which pytest shows as skipped.

What a module is given follows from its spec's contract, at 64 channels: a map (4, 64, 8, 8); tokens
or a set (4, 64, 64); a query (4, 5, 64) and a memory (4, 9, 64); two maps. Where that does not fit,
`AttentionSpec.example` says how to build it and what to give it.
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
from zoo.testing.trial import MAPS, Attention, Check
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
    "check_output",
    "check_plugin",
    "check_randomness",
    "check_sizes",
    "check_takes_part",
    "check_unknown_option",
]

CHECKS: tuple[Check, ...] = (*BEHAVIOUR, *LEARNING, *DEPLOYMENT)


def check_attention(attention: Attention) -> None:
    """Every check that applies, by name or spec."""
    for check in CHECKS:
        try:
            check(attention)
        except SkipTest:
            continue


def check_plugin(plugin: ModuleType | str) -> None:
    """A plugin imports no torch, has no problem, its targets exist, its attentions conform."""
    check_plugin_with(plugin, check_attention)

"""The conformance kit finds each fault, and finds none in what is sound."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

import zoo
from zoo import testing
from zoo.errors import PluginWarning

FAULTS = {
    "WrongShape": (testing.check_output, "becomes"),
    "WrongDtype": (testing.check_output, "torch.float64"),
    "NotFinite": (testing.check_output, "non-finite"),
    "InPlace": (testing.check_output, "in place"),
    "ChangesInputInTraining": (testing.check_output, "in training, the input is changed in place"),
    "PairInTraining": (testing.check_output, "in training, returns a tuple"),
    "EvenSizes": (testing.check_sizes, "becomes"),
    "RemembersSize": (testing.check_sizes, "after maps of other sizes, one of \\(9, 5\\)"),
    "OneWidth": (testing.check_sizes, "check_sizes ended in RuntimeError"),
    "IgnoresDtype": (testing.check_factory_arguments, "leaves weight"),
    "MixesBatch": (testing.check_batch_independence, "in its batch"),
    "ReadsMemory": (testing.check_channels_last, "channels-last"),
    "DrawsInEval": (testing.check_randomness, "global random state"),
    "StaysInTraining": (testing.check_randomness, "leaves it in training"),
    "Seeds": (testing.check_randomness, "seeds the global random state"),
    "StartsAnywhere": (testing.check_randomness, "two starts"),
    "IgnoresMask": (testing.check_mask, "masked padding"),
    "IgnoresGenerator": (testing.check_randomness, "two results"),
    "Dead": (testing.check_gradients, "unused has no gradient"),
    "TakesNoPart": (testing.check_takes_part, "unused take no part"),
    "Overflows": (testing.check_half_precision, "times 100: the output is not finite"),
    "BecomesFloat": (testing.check_half_precision, "torch.float16 becomes torch.float32"),
    "OnOneDevice": (testing.check_meta_device, "check_meta_device ended in RuntimeError"),
    "LosesTable": (testing.check_meta_device, "other numbers"),
    "CountsForwards": (testing.check_checkpointing, "another function"),
    "Unpicklable": (testing.check_copies, "pickle"),
    "HiddenState": (testing.check_copies, "state dict"),
    "ForgetsTraining": (testing.check_copies, "state dict"),
    "TakesAnything": (testing.check_unknown_option, "silently"),
    "NoIdentity": (testing.check_identity_start, "is not 0.5"),
    "SquareIdentity": (testing.check_identity_start, "a map of \\(5, 9\\)"),
    "UnsavedIdentity": (testing.check_identity_start, "does not carry init_identity"),
    "FrozenIdentity": (testing.check_identity_start, "ended in RuntimeError"),
    "StuckIdentity": (testing.check_identity_start, "cannot learn"),
    "Steep": (testing.check_warm_start, "times the plain network's"),
    "Forgets": (testing.check_warm_start, "points of accuracy"),
    "NeverMoves": (testing.check_warm_start, "do not move"),
}


def spec(name: str) -> zoo.AttentionSpec:
    masked = name == "IgnoresMask"
    return zoo.AttentionSpec(
        name=name.lower(), target=f"faulty_attentions:{name}",
        insertion=zoo.Insertion(identity="residual" if name == "NeverMoves" else "exact"),
        contract="tokens" if masked else "map", masked=masked,
    )  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found(name: str) -> None:
    check, message = FAULTS[name]
    with pytest.raises(AssertionError, match=message):
        check(spec(name))


def test_every_check_finds_some_fault() -> None:
    assert {check for check, _ in FAULTS.values()} == set(testing.CHECKS)


def test_what_is_sound_passes() -> None:
    testing.check_attention(spec("Sound"))


def plugin(name: str, target: str) -> ModuleType:
    module = ModuleType(name)

    @zoo.hookimpl
    def zoo_attentions() -> list[zoo.AttentionSpec]:
        return [zoo.AttentionSpec(name=f"kit_{name}", target=target)]

    module.__dict__["zoo_attentions"] = zoo_attentions
    return module


def test_a_plugin_with_a_missing_target_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = plugin("json", "faulty_attentions:Absent")  # a name that a fresh process can import
    monkeypatch.setitem(sys.modules, "json", module)
    with (
        pytest.warns(PluginWarning, match="no Absent"),
        pytest.raises(AssertionError, match="no Absent"),
    ):
        testing.check_plugin(module)


@pytest.mark.long
def test_a_plugin_that_imports_torch_is_found() -> None:
    with pytest.raises(AssertionError, match="imports timm torch"):
        testing.check_plugin("zoo_plugins.mechanisms.channel.se")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("zoo_plugins.mechanisms.multimodal", marks=pytest.mark.slow),
        "zoo_plugins.mechanisms.spatial_transformer",
        pytest.param("zoo_plugins.mechanisms.mixed", marks=pytest.mark.slow),
    ],
)
def test_first_party_plugins_conform(name: str) -> None:
    testing.check_plugin(name)

"""What each form of insertion computes, away from its start too, against its equation."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import Tensor, nn

import zoo
from zoo.insertion.forms import (
    AddedBranch,
    Attended,
    PatchesBranch,
    ResidualAttended,
    ScaledAttended,
)
from zoo.insertion.mixers import Folded


class Odd(nn.Module):
    """f(x) = 3 x^2 + 1, which no form starts from."""

    def forward(self, x):
        return 3 * x.square() + 1


def test_each_form_is_its_equation() -> None:
    x, f = torch.randn(2, 4, 3, 5), Odd()
    residual, added = ResidualAttended(f), AddedBranch(f)
    for alpha in (0.0, 0.37, -1.5, 1.0):
        nn.init.constant_(residual.alpha, alpha)
        nn.init.constant_(added.alpha, alpha)
        torch.testing.assert_close(residual(x), x + alpha * (f(x) - x))
        torch.testing.assert_close(added(x), alpha * f(x))
    torch.testing.assert_close(Attended(f)(x), f(x))
    torch.testing.assert_close(ScaledAttended(f, gate=0.25)(x), f(x) / 0.25)


def test_a_branch_beside_patches_gives_nothing_to_the_tokens_before_them() -> None:
    x, f = torch.randn(2, 7, 4), Odd()
    branch = PatchesBranch(f, prefix=2)
    assert branch.alpha == 0
    nn.init.constant_(branch.alpha, 0.37)
    found = branch(x)
    assert found.shape == x.shape and not found[:, :2].any()
    torch.testing.assert_close(found[:, 2:], 0.37 * f(x[:, 2:]))


def test_a_branch_that_is_built_as_nothing_starts_a_little_open() -> None:
    """With both at 0, neither would ever have a gradient."""
    f = Odd()
    assert AddedBranch(f).alpha == PatchesBranch(f, prefix=1).alpha == 0
    f.starts_at_zero = True
    for branch in (AddedBranch(f), PatchesBranch(f, prefix=1)):
        assert branch.alpha.item() == pytest.approx(0.01)


def test_what_stood_at_the_place_is_kept_in_every_form() -> None:
    x, f, base = torch.randn(1, 2, 3, 3), Odd(), nn.Softplus()  # twice is not once
    first = base(x)
    scaled = ScaledAttended(f, base, gate=0.25, base_first=True)
    torch.testing.assert_close(scaled(x), f(first) / 0.25)
    residual = ResidualAttended(f, base, alpha=0.2, base_first=True)
    torch.testing.assert_close(residual(x), first + 0.2 * (f(first) - first))
    assert ResidualAttended(f).alpha == 0
    torch.testing.assert_close(ResidualAttended(f, base, alpha=0.2)(x), base(x + 0.2 * (f(x) - x)))


def test_what_stood_at_the_place_runs_before_or_after() -> None:
    x, f, base = torch.randn(1, 2, 3, 3), Odd(), nn.Softplus()  # twice is not once
    torch.testing.assert_close(Attended(f, base)(x), base(f(x)))
    torch.testing.assert_close(Attended(f, base, base_first=True)(x), f(base(x)))
    last = x.permute(0, 2, 3, 1)
    found = Attended(f, channels_last=True)(last)
    torch.testing.assert_close(found, f(x).permute(0, 2, 3, 1))


def test_a_replaced_convolution_keeps_its_dilation_stride_and_groups() -> None:
    """A ResNet of output stride 8 dilates its last stages; what replaces a kernel must do so too.

    An attention over kernels whose branches see one pixel apart would see half as far.
    """
    plain = timm.create_model("resnet18", output_stride=8)
    changed = zoo.create_model("selective_kernel_resnet18", output_stride=8)
    dilated = 0
    for path in changed.zoo.sites:
        conv, attention = plain.get_submodule(path), changed.get_submodule(path)
        kernels = [
            m for m in attention.modules() if isinstance(m, nn.Conv2d) and max(m.kernel_size) > 1
        ]
        assert {kernel.stride for kernel in kernels} == {conv.stride}
        reach = min((k.kernel_size[0] - 1) * k.dilation[0] for k in kernels)
        assert reach == (conv.kernel_size[0] - 1) * conv.dilation[0], path
        dilated += conv.dilation[0] > 1
    assert dilated


@pytest.mark.parametrize("name", ["axial", "gaussian"])
def test_the_size_of_a_map_is_the_running_one_on_odd_images(name: str) -> None:
    """At 225 pixels ResNet's maps are 57, 29, 15 and 8 wide: halving rounds up.

    An attention that is tied to a size is built for that one, and refuses any other.
    """
    model = zoo.create_model(f"{name}_resnet18", img_size=225, sites=("layer2.1", "layer4.1"))
    seen: list[tuple[int, ...]] = []
    for path in model.zoo.sites:
        model.get_submodule(path).register_forward_pre_hook(
            lambda module, inputs: seen.append(tuple(inputs[0].shape[-2:]))
        )
    with torch.no_grad():
        model.eval()(torch.rand(1, 3, 225, 225))
    assert seen == [(29, 29), (8, 8)]


class Loud(nn.Module):
    """100 x, or x where it stands beside something."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(100.0))

    def init_branch(self) -> None:
        nn.init.constant_(self.gain, 1.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.gain * x


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_branch_starts_as_gently_as_its_module_can(wrapped: bool) -> None:
    """The gradient of alpha is <dL/dy, f(x)>: here the sum of squares of x, not 100 times it."""
    x = torch.randn(2, 6, 4)
    branch = AddedBranch(Folded(Loud(), (2, 3)) if wrapped else Loud())
    (branch(x) * x).sum().backward()
    assert branch.alpha.item() == 0
    torch.testing.assert_close(branch.alpha.grad, x.square().sum())


def test_a_branch_of_a_window_is_about_as_large_as_its_inputs() -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 32, 24, 24)
    layer = zoo.create_attention("lambda_layer", 32)
    assert layer(x).std() > 6  # of a window of 9 x 9 positions
    assert 0.5 < AddedBranch(layer).attn(x).std() < 1.5

"""Attention on what a module gives, in every container and layout, against the same by hand."""

from __future__ import annotations

from collections.abc import Callable

import own_hosts
import pytest
import torch
from torch import Tensor, nn

import zoo
from zoo.errors import IncompatibleBackboneError, UsageError

IMAGE = torch.rand(2, 3, 16, 16)
READ: dict[str, Callable[..., Tensor]] = {
    "tuple": lambda y: y[1], "list": lambda y: y[1], "dict": lambda y: y["out"],
    "namedtuple": lambda y: y.features, "dataclass": lambda y: y.features,
    "nested": lambda y: y["all"][0][0],
}  # fmt: skip


@torch.no_grad()
def moved(model: nn.Module) -> nn.Module:
    """No parameter of an attention where it started."""
    torch.manual_seed(3)
    for parameter in zoo.attention_parameters(model):
        parameter.add_(0.3 * torch.randn_like(parameter))
    return model.eval()


@pytest.mark.parametrize("kind", READ)
def test_the_first_map_in_a_container_is_attended(kind: str) -> None:
    model = own_hosts.Wrapped(kind)
    before = model(IMAGE)
    zoo.add_attention(model, "cbam", at="", example=IMAGE, insertion="plain", reduction=4)
    after = moved(model)(IMAGE)
    assert type(after) is type(before)
    wanted = model.cbam.attn(READ[kind](before))  # type: ignore[operator]
    assert torch.equal(READ[kind](after), wanted)
    assert not torch.allclose(wanted, READ[kind](before))


def test_a_model_output_is_attended() -> None:
    outputs = pytest.importorskip("transformers.modeling_outputs")

    class Host(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 16, 1)

        def forward(self, x: Tensor) -> object:
            return outputs.BaseModelOutput(last_hidden_state=self.conv(x))

    model = Host()
    zoo.add_attention(model, "se", at="", example=IMAGE, insertion="plain")
    after = moved(model)(IMAGE)
    assert type(after) is outputs.BaseModelOutput
    assert torch.equal(after.last_hidden_state, after["last_hidden_state"])
    assert torch.equal(after[0], model.se.attn(model.conv(IMAGE)))  # type: ignore[operator]


@pytest.mark.parametrize("size", [16, 24])
def test_channels_that_are_last_are_found_even_where_rows_are_as_many(size: int) -> None:
    """At 16 x 16 with 16 channels shapes say nothing: a larger image tells the axes apart."""
    model, x = own_hosts.ChannelsLast(), torch.rand(2, 3, size, size)
    zoo.add_attention(model, "se", at="mix", example=x, insertion="plain")
    moved(model)
    bare = model.mix[1](model.mix[0](model.conv(x).permute(0, 2, 3, 1)))
    wanted = model.mix.se.attn(bare.permute(0, 3, 1, 2))  # type: ignore[operator]
    assert torch.allclose(model(x), wanted)


class Branches(nn.Module):
    """Two layers of 16 channels side by side: the block has 32."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 16, 1), nn.Conv2d(3, 16, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((self.one(x), self.two(x)), 1)


class Halves(nn.Module):
    """(B, H, W, 32) from two layers of 16 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(3, 16), nn.Linear(3, 16)

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 3, 1)
        return torch.cat((self.one(x), self.two(x)), 3)


def shuffled() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 32, 1), nn.PixelShuffle(2))


@pytest.mark.parametrize("size", [(16, 16), (24, 16), (16, 24), (32, 16)])
@pytest.mark.parametrize(
    ("host", "layout", "channels"),
    [(Branches, "nchw", 32), (Halves, "nhwc", 32), (shuffled, "nchw", 8)],
)
def test_channels_that_no_layer_has_are_not_looked_for_among_rows(
    host: Callable[[], nn.Module], layout: str, channels: int, size: tuple[int, int]
) -> None:
    """The last layer has as many channels as the map has rows or columns, by chance."""
    site = zoo.list_sites(host(), torch.rand(1, 3, *size), leaves=True)[0]
    assert (site.path, site.layout, site.channels) == ("", layout, channels)


def test_clues_that_contradict_each_other_ask_for_the_layout() -> None:
    class OneSize(Branches):
        def forward(self, x: Tensor) -> Tensor:
            assert x.shape[-1] == 16
            return super().forward(x)

    with pytest.raises(UsageError, match="cannot be told") as caught:
        zoo.add_attention(OneSize(), "se", at="", example=IMAGE)
    assert "layout='nchw'" in str(caught.value)


def test_an_argument_of_three_axes_is_no_image() -> None:
    """16 tokens of 64 channels are 4 x 4, not 2 x 8 as if (16, 64) were rows and columns."""
    model = nn.Sequential(nn.Linear(64, 64))
    zoo.add_attention(model, "cbam", at="0", example=torch.rand(2, 16, 64))
    assert model[0].cbam.zoo_record.layout.grid == (4, 4)  # type: ignore[union-attr]
    with pytest.raises(UsageError, match="which of the 15 tokens"):
        zoo.add_attention(nn.Linear(64, 64), "se", at="", example=torch.rand(2, 15, 64))


def test_a_map_without_a_batch_is_not_taken_for_tokens() -> None:
    model = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU())
    with pytest.raises(IncompatibleBackboneError, match="without a batch"):
        zoo.add_attention(model, "cbam", at="1", example=torch.rand(3, 32, 32))


def test_maps_of_as_many_channels_as_rows_stay_maps() -> None:
    model = own_hosts.ResNet(8)
    zoo.add_attention(model, "se", at="stem", example=torch.rand(1, 3, 16, 16), insertion="plain")
    assert zoo.list_sites(model, torch.rand(1, 3, 16, 16))[0].layout == "nchw"


@pytest.mark.parametrize(
    ("prefix", "size", "told"),
    [(0, (16, 16), {}), (1, (16, 32), {}), (3, (16, 16), {"prefix_tokens": 3}),
     (2, (16, 32), {"grid": (4, 8)})],
)  # fmt: skip
def test_map_attention_on_tokens_leaves_the_prefix_and_sees_a_map(
    prefix: int, size: tuple[int, int], told: dict[str, object]
) -> None:
    model, x = own_hosts.Tokens(prefix), torch.rand(2, 3, *size)
    before = model(x)
    zoo.add_attention(model, "cbam", at="mlp", example=x, insertion="plain", reduction=4, **told)
    after = moved(model)(x)
    patches = before[:, prefix:].transpose(1, 2).reshape(2, 16, size[0] // 4, size[1] // 4)
    wanted = model.mlp.cbam.attn(patches)  # type: ignore[operator]
    assert torch.equal(after[:, :prefix], before[:, :prefix])
    assert torch.equal(after[:, prefix:], wanted.flatten(2).transpose(1, 2))
    assert (
        model(torch.rand(1, 3, 2 * size[0], 2 * size[1])).shape[1]
        == prefix + wanted[0, 0].numel() * 4
    )


def test_tokens_of_no_known_grid_are_refused_with_the_arguments_that_help() -> None:
    with pytest.raises(UsageError, match="18 tokens of mlp") as caught:
        zoo.add_attention(own_hosts.Tokens(2), "se", at="mlp", example=IMAGE)
    assert "prefix_tokens=" in caught.value.remedy and "grid=" in caught.value.remedy
    with pytest.raises(UsageError, match="are not 18"):
        zoo.add_attention(own_hosts.Tokens(2), "se", at="mlp", example=IMAGE, grid=(5, 5))


def test_another_number_of_tokens_than_a_grid_has_is_one_clear_error() -> None:
    model = own_hosts.Tokens(0)
    zoo.add_attention(model, "se", at="mlp", example=IMAGE)
    with pytest.raises(UsageError, match="no grid of the proportions"):
        model(torch.rand(1, 3, 8, 16))


def test_a_block_that_is_called_twice_attends_twice_and_is_attended_once() -> None:
    model = own_hosts.Shared().eval()
    zoo.add_attention(model, "se", at=["block", "again"], example=IMAGE, insertion="plain")
    moved(model)
    form = model.block.se
    plain = own_hosts.Shared().eval()
    plain.load_state_dict({k: v for k, v in model.state_dict().items() if ".se." not in k})
    x = plain.act(plain.stem(IMAGE))
    x = form.attn(plain.block(form.attn(plain.block(x))))  # type: ignore[operator]
    assert torch.allclose(model(IMAGE), plain.act(plain.head(x)))
    assert zoo.remove_attention(model) == ["block.se"]


def test_a_module_that_gives_other_channels_each_time_is_refused() -> None:
    with pytest.raises(IncompatibleBackboneError, match="called 2 times"):
        zoo.add_attention(own_hosts.Shared(), "se", at="act", example=IMAGE)


def test_a_sequence_counts_and_gives_out_its_own_modules_only() -> None:
    model = own_hosts.ResNet()
    last = model.stage1[-1]
    zoo.add_attention(model, "se", at="stage1", example=IMAGE)
    assert len(model.stage1) == 2 and list(model.stage1)[-1] is model.stage1[-1] is last
    assert type(model.stage1[:1]) is nn.Sequential and len(model.stage1[:1]) == 1
    assert "stage1.se.attn.fc1.weight" in model.state_dict()


class Chain(nn.ModuleList):
    def forward(self, x: Tensor) -> Tensor:
        for module in self:
            x = module(x)
        return x


def test_a_list_that_runs_its_items_does_not_run_the_attention_among_them() -> None:
    model = Chain([nn.Conv2d(3, 8, 1), nn.ReLU()])
    before = model(IMAGE)
    zoo.add_attention(model, "se", at="", example=IMAGE, insertion="plain")
    assert len(model) == 2 and type(model[:1]) is Chain and model[-1] is list(model)[1]
    moved(model)
    assert torch.equal(model(IMAGE), model.se.attn(before))  # type: ignore[operator]
    model.append(nn.ReLU())
    assert list(dict(model.named_children())) == ["0", "1", "se", "2"] and len(model) == 3


class RunsChildren(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        for child in self.children():
            x = child(x)
        return x


def test_a_module_that_runs_whatever_it_contains_is_refused() -> None:
    model = RunsChildren()
    with pytest.raises(IncompatibleBackboneError, match="2 times"):
        zoo.add_attention(model, "se", at="", example=IMAGE)
    assert type(model) is RunsChildren and list(dict(model.named_children())) == ["one", "two"]


def test_convolutions_and_softmax_are_joined_as_the_equations_say() -> None:
    conv = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU()).eval()
    bare = conv[0](IMAGE)
    zoo.add_attention(conv, "stand_alone", at="0", example=IMAGE)
    form = moved(conv)[0].stand_alone  # type: ignore[index]
    assert torch.allclose(conv(IMAGE), (bare + form.alpha * form.attn(IMAGE)).relu())
    zoo.remove_attention(conv)
    zoo.add_attention(conv, "stand_alone", at="0", example=IMAGE, insertion="plain")
    assert torch.allclose(conv(IMAGE), conv[0].attn(IMAGE).relu())
    zoo.remove_attention(conv)
    assert torch.equal(conv(IMAGE), bare.relu())


@pytest.mark.parametrize("batch_first", [True, False])
def test_a_mixer_stands_beside_torchs_attention(batch_first: bool) -> None:
    class Host(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mha = nn.MultiheadAttention(16, 2, batch_first=batch_first)

        def forward(self, x: Tensor) -> Tensor:
            return self.mha(x, x, x, need_weights=False)[0]

    model, x = Host().eval(), torch.rand(2, 9, 16)
    before = model(x)
    zoo.add_attention(model, "multi_head", at="mha", example=x)
    assert torch.equal(model(x), before)
    form = moved(model).mha.multi_head  # type: ignore[union-attr]
    tokens = x if batch_first else x.transpose(0, 1)
    added = form.attn(tokens)
    wanted = before + form.alpha * (added if batch_first else added.transpose(0, 1))
    assert torch.allclose(model(x), wanted, atol=1e-6)
    assert form.attn.num_heads == 2

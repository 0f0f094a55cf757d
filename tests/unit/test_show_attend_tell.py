"""Show, attend and tell: settings that no recorded case has, and how hard attention learns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor
from zoo_plugins.mechanisms.logical.caption_authors import from_authors, reference_call
from zoo_plugins.mechanisms.logical.caption_losses import doubly_stochastic, reinforced, soft_loss

import zoo
from zoo.errors import OptionError
from zoo.weights.keymaps import carry_over

DIM, STATE, WORDS, VOCAB, STEPS, BATCH, PLACES = 6, 5, 4, 7, 4, 3, 8


def theano_state(layers: int, gate: str | None, prev2out: bool, ctx2out: bool) -> dict[str, Tensor]:
    """Weights under the names that the authors' code saves, (in, out)."""
    shapes: dict[str, tuple[int, ...]] = {
        "Wemb": (VOCAB, WORDS),
        "decoder_W": (WORDS, 4 * STATE), "decoder_U": (STATE, 4 * STATE),
        "decoder_Wc": (DIM, 4 * STATE), "decoder_b": (4 * STATE,),
        "decoder_Wc_att": (DIM, DIM), "decoder_b_att": (DIM,),
        "decoder_Wd_att": (STATE, DIM), "decoder_U_att": (DIM, 1), "decoder_c_tt": (1,),
        "ff_state_W": (DIM, STATE), "ff_state_b": (STATE,),
        "ff_memory_W": (DIM, STATE), "ff_memory_b": (STATE,),
        "ff_logit_lstm_W": (STATE, WORDS), "ff_logit_lstm_b": (WORDS,),
        "ff_logit_W": (WORDS, VOCAB), "ff_logit_b": (VOCAB,),
    }  # fmt: skip
    for layer in range(1, layers):
        shapes |= {f"decoder_W_att_{layer}": (DIM, DIM), f"decoder_b_att_{layer}": (DIM,)}
    if ctx2out:
        shapes |= {"ff_logit_ctx_W": (DIM, WORDS), "ff_logit_ctx_b": (WORDS,)}
    if gate:
        width = 1 if gate == "scalar" else DIM
        shapes |= {"decoder_W_sel": (STATE, width), "decoder_b_sel": (width,)}
    random = torch.Generator().manual_seed(3)
    return {k: torch.randn(*s, generator=random).double() * 0.5 for k, s in shapes.items()}


def capgen(
    p: Mapping[str, Tensor], context: Tensor, words: Tensor, mask: Tensor, layers: int,
    activation: Any, gate: str | None, prev2out: bool, ctx2out: bool,
) -> dict[str, Tensor]:  # fmt: skip
    """The computation of the authors' decoder, written down step by step (time first)."""
    mean = context.mean(1)
    h = torch.tanh(mean @ p["ff_state_W"] + p["ff_state_b"])
    c = torch.tanh(mean @ p["ff_memory_W"] + p["ff_memory_b"])
    pctx = context @ p["decoder_Wc_att"] + p["decoder_b_att"]
    for layer in range(1, layers):
        pctx = torch.tanh(pctx @ p[f"decoder_W_att_{layer}"] + p[f"decoder_b_att_{layer}"])
    rows: list[tuple[Tensor, ...]] = []
    for t in range(len(words)):
        emb = p["Wemb"][words[t - 1]] if t else torch.zeros(words.shape[1], WORDS).double()
        summed = activation(pctx + (h @ p["decoder_Wd_att"])[:, None])
        e = summed @ p["decoder_U_att"] + p["decoder_c_tt"]
        alpha = e.squeeze(-1).softmax(1)
        ctx = (context * alpha[..., None]).sum(1)
        if gate:
            beta = torch.sigmoid(h @ p["decoder_W_sel"] + p["decoder_b_sel"])
            ctx = beta * ctx
        gates = emb @ p["decoder_W"] + h @ p["decoder_U"] + ctx @ p["decoder_Wc"] + p["decoder_b"]
        i, f, o, g = gates.split(STATE, 1)
        new = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        m = mask[t][:, None]
        c = m * new + (1 - m) * c
        h = m * torch.sigmoid(o) * torch.tanh(c) + (1 - m) * h
        logit = h @ p["ff_logit_lstm_W"] + p["ff_logit_lstm_b"]
        if prev2out:
            logit = logit + emb
        if ctx2out:
            logit = logit + ctx @ p["ff_logit_ctx_W"] + p["ff_logit_ctx_b"]
        rows.append((torch.tanh(logit) @ p["ff_logit_W"] + p["ff_logit_b"], h, alpha, ctx))
    names = ("logits", "hidden", "attention", "context")
    return dict(zip(names, map(torch.stack, zip(*rows, strict=True)), strict=True))


@pytest.mark.parametrize(
    ("layers", "activation", "gate", "prev2out", "ctx2out"),
    [
        (1, "tanh", None, False, False),
        (2, "tanh", "scalar", True, False),
        (3, "relu", "vector", False, True),
    ],
)
def test_the_decoder_at_other_settings_is_the_authors_written_down(
    layers: int, activation: str, gate: str | None, prev2out: bool, ctx2out: bool
) -> None:
    module: Any = zoo.create_attention(
        "show_attend_tell_soft", dim=DIM, query_dim=STATE, attention_dim=DIM, embed_dim=WORDS,
        vocab_size=VOCAB, n_layers_att=layers, activation=activation, gate=gate,
        prev2out=prev2out, ctx2out=ctx2out, dtype=torch.float64,
    )  # fmt: skip
    state = theano_state(layers, gate, prev2out, ctx2out)
    carry_over(from_authors(state, module), module)
    features = torch.randn(BATCH, PLACES, DIM).double()
    words = torch.randint(VOCAB, (STEPS, BATCH))
    mask = (torch.arange(STEPS)[:, None] < torch.tensor([4, 2, 3])).double()
    chosen = {"tanh": torch.tanh, "relu": torch.relu}[activation]
    expected = capgen(state, features, words, mask, layers, chosen, gate, prev2out, ctx2out)
    found = reference_call(module, features, words, mask)
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor)


def test_captions_of_several_lengths_end_where_they_end() -> None:
    module: Any = zoo.create_attention(
        "show_attend_tell_soft", dim=DIM, query_dim=STATE, embed_dim=WORDS, vocab_size=VOCAB,
        variant="tutorial", gate="vector",
    )  # fmt: skip
    features, captions = torch.randn(2, 3, 3, DIM), torch.randint(VOCAB, (2, 6))
    found = reference_call(module, features, captions, torch.tensor([[5], [3]]))
    assert found["logits"].shape == (2, 4, VOCAB)
    assert torch.equal(found["logits"][1, 2:], torch.zeros(2, VOCAB))
    alone = reference_call(module, features[1:], captions[1:], torch.tensor([[3]]))
    torch.testing.assert_close(found["logits"][1:, :2], alone["logits"])


@pytest.mark.parametrize("form", ["original", "tutorial"])
@pytest.mark.parametrize("kind", ["soft", "hard"])
def test_what_is_said_is_likeliest_given_what_was_said(form: str, kind: str) -> None:
    torch.manual_seed(0)
    module: Any = zoo.create_attention(
        f"show_attend_tell_{kind}", DIM, vocab_size=VOCAB, variant=form
    ).eval()
    features, start = torch.randn(2, PLACES, DIM), torch.tensor([1, 4])
    tutorial = form == "tutorial"
    words, attention = module.say(features, 5, start=start if tutorial else None)
    given = torch.cat((start[:, None], words[:, :-1]), 1) if tutorial else words
    decoded = module.decode(features, given)
    assert torch.equal(decoded.logits.argmax(-1), words)
    torch.testing.assert_close(decoded.attention, attention)


@pytest.mark.parametrize("kind", ["soft", "hard"])
def test_absent_features_and_words_change_nothing(kind: str) -> None:
    torch.manual_seed(0)
    module: Any = zoo.create_attention(f"show_attend_tell_{kind}", DIM, vocab_size=VOCAB).eval()
    features, words = torch.randn(2, PLACES, DIM), torch.randint(VOCAB, (2, 4))
    short = module(features[:, :5], words)
    mask = (torch.arange(PLACES) < 5).expand(2, -1)
    padded = torch.where(mask[..., None], features, 1e3)
    torch.testing.assert_close(module(padded, words, mask), short)
    present = torch.tensor([[True] * 4, [True, True, False, False]])
    held = module.decode(features[:, :5], words, word_mask=present).hidden
    torch.testing.assert_close(held[1, 3], held[1, 1])


def test_a_generator_decides_what_is_drawn() -> None:
    module = hard(vocab_size=VOCAB, embed_dim=WORDS).train()
    features, words = torch.randn(2, 3, DIM).double(), torch.randint(VOCAB, (2, 4))
    one, same = (
        module(features, words, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1)
    )
    assert torch.equal(one, same)
    others = [
        module(features, words, generator=torch.Generator().manual_seed(seed)) for seed in range(5)
    ]
    assert not all(torch.equal(one, other) for other in others)


def test_the_form_follows_from_the_settings_that_only_one_has() -> None:
    with pytest.raises(OptionError, match="prev2out"):
        zoo.create_attention("show_attend_tell_soft", 8, vocab_size=5, bias=True, prev2out=True)
    tutorial: Any = zoo.create_attention("show_attend_tell_soft", 8, bias=False)
    assert tutorial.additive.activation == "relu"
    assert tutorial.additive.memory[0].bias is None


def hard(**options: Any) -> Any:
    torch.manual_seed(0)
    given: dict[str, Any] = {"gate": None, "semi_sampling_p": 1.0, "dtype": torch.float64}
    return zoo.create_attention("show_attend_tell_hard", DIM, query_dim=STATE, **given | options)


def test_draws_have_the_frequencies_of_the_weights() -> None:
    module = hard().train()
    query, memory = torch.randn(1, STATE).double(), torch.randn(1, 4, DIM).double()
    queries = query.expand(1, 20_000, STATE)
    projected = module.additive.project(memory)
    found = module.look(queries, memory, projected, generator=torch.Generator().manual_seed(0))
    frequencies = found.choice.flatten().bincount(minlength=4) / 20_000
    torch.testing.assert_close(
        frequencies.double(), found.weights[0, 0].detach(), atol=0.015, rtol=0
    )
    assert torch.equal(found.context.detach(), memory[0, found.choice])


def test_the_mean_gradient_of_the_draws_is_that_of_soft_attention() -> None:
    """For a loss that is linear in the context the score-function estimate is unbiased."""
    module = hard().train()
    query, memory = torch.randn(1, STATE).double(), torch.randn(1, 4, DIM).double()
    weight, projected = torch.randn(DIM).double(), module.additive.project(memory).detach()
    scores = module.additive.score.weight

    def gradient(context: Tensor) -> Tensor:
        return torch.autograd.grad((context @ weight).mean(), scores)[0]

    weights = module.additive.scores(query, projected).softmax(-1)
    expected = gradient(weights @ memory[0])
    queries = query.expand(1, 40_000, STATE)
    found = module.look(queries, memory, projected, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        gradient(found.context), expected, atol=0.04 * expected.abs().max().item(), rtol=0
    )


def test_in_eval_hard_attention_takes_the_most_likely_place() -> None:
    module = hard().eval()
    query, memory = torch.randn(2, 3, STATE).double(), torch.randn(2, 4, DIM).double()
    found = module.look(query, memory, module.additive.project(memory))
    best = found.weights.argmax(-1)
    assert torch.equal(
        found.context, torch.stack([m[b] for m, b in zip(memory, best, strict=True)])
    )


def test_the_paper_reinforces_what_said_the_caption_better_than_usual() -> None:
    """Enumerated over all draws of one step, the estimate is the gradient of the expected cost."""
    module = hard(vocab_size=VOCAB, embed_dim=WORDS).train()
    features, words = torch.randn(1, 3, DIM).double(), torch.tensor([[2]])
    scores = module.attention.additive.score.weight
    estimate, expected = torch.zeros_like(scores), torch.zeros(())
    for place in range(3):
        decoded = module.decode(features, words, choice=torch.tensor([[place]]))
        share = decoded.attention[0, 0, place]
        loss, _ = reinforced(decoded, words, torch.tensor(1.7), entropy_weight=0.0)
        estimate += share.detach() * torch.autograd.grad(loss, scores, retain_graph=True)[0]
        cost = -decoded.logits[0, 0].log_softmax(-1)[2]
        expected = expected + share * cost
    exact = torch.autograd.grad(expected, scores)[0]
    torch.testing.assert_close(estimate, exact, atol=1e-6, rtol=1e-5)


def test_the_baseline_follows_the_cost() -> None:
    module = hard(vocab_size=VOCAB, embed_dim=WORDS).train()
    decoded = module.decode(torch.randn(2, 3, DIM).double(), torch.randint(VOCAB, (2, 4)))
    words = torch.randint(VOCAB, (2, 4))
    loss, baseline = reinforced(decoded, words, torch.tensor(0.0).double(), entropy_weight=0.0)
    loss.backward()
    cost = -decoded.logits.log_softmax(-1).gather(-1, words[..., None]).sum((1, 2)).mean()
    torch.testing.assert_close(baseline, 0.1 * cost.detach(), atol=1e-5, rtol=1e-5)


def test_even_attention_over_a_caption_costs_nothing() -> None:
    even = torch.full((1, 4, 4), 0.25)
    assert doubly_stochastic(even).item() == 0
    assert doubly_stochastic(torch.eye(4)[None, [0, 0, 0, 0]]).item() == 9 + 3
    module: Any = zoo.create_attention("show_attend_tell_soft", 8, vocab_size=5)
    decoded = module.decode(torch.randn(2, 4, 8), torch.zeros(2, 3).long())
    soft_loss(decoded, torch.zeros(2, 3).long()).backward()
    assert all(p.grad is not None for p in module.parameters())

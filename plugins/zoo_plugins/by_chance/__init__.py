"""Attention as a random variable: Bayesian, variational and Gaussian forms."""

from zoo.hookspecs import hookimpl
from zoo.specs import AttentionSpec, Paper

ATTENTIONS: tuple[AttentionSpec, ...] = (
    AttentionSpec(
        name="bayesian_attention",
        aliases=("bayesian_attention_modules",),
        target="zoo_plugins.by_chance.bayesian_attention:BayesianAttention",
        family="by_chance",
        contract="tokens",
        role="none",
        quadratic=True,
        channel_arguments=("dim",),
        masked=True,
        variants=("official", "paper"),
        dead_parameters=(  # taken out by the softmax; the prior learns from the divergence
            r"(^|\.)key\.bias$",
            r"(^|\.)prior_net\.",
        ),
        paper=Paper(
            title="Bayesian Attention Modules",
            authors="Xinjie Fan, Shujian Zhang, Bo Chen, Mingyuan Zhou",
            venue="NeurIPS",
            year=2020,
            arxiv="2010.10604",
        ),
        license="MIT",
        reference="authors",
        verified="cases",
        key_map="zoo_plugins.by_chance.bayesian_attention:reference_keys",
        reference_call="zoo_plugins.by_chance.bayesian_attention:reference_call",
        notes=(
            "The whole sub-layer with its residual and norm; residual=False leaves them out. The "
            "authors' divergence from a Gamma prior lacks its constant terms: variant='paper'."
        ),
    ),
    AttentionSpec(
        name="belief_network",
        aliases=("bayesian_attention_belief_network", "babn"),
        target="zoo_plugins.by_chance.belief_network:BeliefNetwork",
        family="by_chance",
        contract="tokens",
        role="none",
        quadratic=True,
        channel_arguments=("dim",),
        masked=True,
        variants=("official", "paper"),
        dead_parameters=(  # taken out by the softmax; the prior learns from the divergence
            r"(^|\.)linear_k2?\.bias$",
            r"(^|\.)linear_prior\.",
        ),
        paper=Paper(
            title="Bayesian Attention Belief Networks",
            authors="Shujian Zhang, Xinjie Fan, Bo Chen, Mingyuan Zhou",
            venue="ICML",
            year=2021,
            arxiv="2106.05251",
        ),
        license="Apache-2.0",
        reference="authors",
        verified="cases",
        key_map=(
            (r"^.*(contextual_prior_net|se_linear\d).*$", ""),  # computed, then overwritten
            (r"^(\d+)\.", r"layers.\1."),
        ),
        reference_call="zoo_plugins.by_chance.belief_network:reference_call",
        notes=(
            "In eval the code hands the normalised weights to the next layer as its hidden state, "
            "and its divergence has the softmax for the scale: variant='paper' has neither."
        ),
    ),
    AttentionSpec(
        name="repulsive",
        aliases=("repulsive_attention",),
        target="zoo_plugins.by_chance.repulsive:Repulsive",
        family="by_chance",
        contract="gradient",
        role="none",
        channel_arguments=("hidden",),
        example="zoo_plugins.by_chance.repulsive:example",
        paper=Paper(
            title="Repulsive Attention: Rethinking Multi-head Attention as Bayesian Inference",
            authors="Bang An et al.",
            venue="EMNLP",
            year=2020,
            arxiv="2009.09364",
        ),
        license="Apache-2.0",
        reference="transcribed",
        verified="cases",
        reference_call="zoo_plugins.by_chance.repulsive:reference_call",
        notes=(
            "The authors' reshape takes every M-th number for a head: split='comb'. "
            "The sampler with noise is method='spos', known from their PyTorch programs only."
        ),
    ),
)


@hookimpl
def zoo_attentions() -> tuple[AttentionSpec, ...]:
    return ATTENTIONS

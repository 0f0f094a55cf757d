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
    AttentionSpec(
        name="variational",
        aliases=("variational_attention",),
        target="zoo_plugins.by_chance.variational:Variational",
        family="by_chance",
        contract="context",
        role="none",
        channel_arguments=("dim", "query_dim"),
        masked=True,
        paper=Paper(
            title="Latent Alignment and Variational Attention",
            authors="Yuntian Deng, Yoon Kim, Justin Chiu, Demi Guo, Alexander Rush",
            venue="NeurIPS",
            year=2018,
            arxiv="1807.03756",
        ),
        license="MIT",
        reference="authors",
        verified="cases",
        reference_call="zoo_plugins.by_chance.variational:reference_call",
        notes="The paper relaxes by a Dirichlet; the authors' code, and this, by Gumbel noise.",
    ),
    AttentionSpec(
        name="variational_gaussian",
        target="zoo_plugins.by_chance.variational_gaussian:VariationalGaussian",
        family="by_chance",
        contract="context",
        role="none",
        channel_arguments=("dim", "query_dim"),
        masked=True,
        paper=Paper(
            title="Variational Attention for Sequence-to-Sequence Models",
            authors="Hareesh Bahuleyan, Lili Mou, Olga Vechtomova, Pascal Poupart",
            venue="COLING",
            year=2018,
            arxiv="1712.08207",
        ),
        license="MIT",
        reference="transcribed",
        verified="cases",
        reference_call="zoo_plugins.by_chance.variational_gaussian:reference_call",
        notes="Only the multiplicative score has recorded cases; the additive one is Bahdanau's.",
    ),
    AttentionSpec(
        name="gaussian",
        aliases=("gaussian_attention", "gatcluster"),
        target="zoo_plugins.by_chance.gaussian:Gaussian",
        family="by_chance",
        quadratic=True,  # in its weights
        needs_size=True,
        dead_parameters=(r"(^|\.)(feature|att)_conv\.conv\.bias$",),  # a batch norm takes it out
        paper=Paper(
            title="GATCluster: Self-Supervised Gaussian-Attention Network for Image Clustering",
            authors="Chuang Niu, Jun Zhang, Ge Wang, Jimin Liang",
            venue="ECCV",
            year=2020,
            arxiv="2002.11863",
        ),
        license="none stated",
        reference="authors",
        verified="cases",
        key_map=(
            (r"\.encoder\.(conv|bn)1_1\.", r".\1."),
            (r"^(theta|ro)_mlp_(\d+)\.lin1\.", r"\1.\2."),
            (r"^(classifier_\w+)\.lin(\d)\.", r"\1.fc\2."),
        ),
        reference_call="zoo_plugins.by_chance.gaussian:reference_call",
        notes=(
            "The authors' code reads one number for both the second coordinate and the width: "
            "theta='code'. With num_clusters it has their head, by its method cluster()."
        ),
    ),
    AttentionSpec(
        name="uncertainty_aware",
        aliases=("uncertainty_aware_attention",),
        target="zoo_plugins.by_chance.uncertainty_aware:UncertaintyAware",
        family="by_chance",
        contract="set",
        role="none",
        channel_arguments=("dim", "state_dim"),
        masked=True,
        dead_parameters=(r"(^|\.)alpha\.mu\.bias$",),  # the softmax takes it out again
        paper=Paper(
            title="Uncertainty-Aware Attention for Reliable Interpretation and Prediction",
            authors="Jay Heo et al.",
            venue="NeurIPS",
            year=2018,
            arxiv="1805.09653",
        ),
        license="none stated",
        reference="transcribed",
        verified="cases",
        key_map="zoo_plugins.by_chance.uncertainty_aware:reference_keys",
        reference_call="zoo_plugins.by_chance.uncertainty_aware:reference_call",
        notes="The recurrent networks that make the states lie outside; without them, the input.",
    ),
)


@hookimpl
def zoo_attentions() -> tuple[AttentionSpec, ...]:
    return ATTENTIONS

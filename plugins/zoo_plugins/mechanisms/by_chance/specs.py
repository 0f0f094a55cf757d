"""Stochastic attention: weights that are drawn. What is stated of each mechanism, without torch."""

from zoo.registry.specs import AttentionSpec, Insertion, OptionNames, Provenance, Trial
from zoo_plugins import papers

PACKAGE = "zoo_plugins.mechanisms.by_chance"

ATTENTIONS = (
    AttentionSpec(
        name="bayesian_attention",
        aliases=("bayesian_attention_modules",),
        target=f"{PACKAGE}.bayesian_attention:BayesianAttention",
        family="by_chance",
        contract="tokens",
        masked=True,
        insertion=Insertion(role="none", quadratic=True),
        options=OptionNames(channels=("dim",), read=f"{PACKAGE}.bayesian_attention:read_prior"),
        provenance=Provenance(
            paper=papers.BAYESIAN_ATTENTION,
            license="MIT",
            reference="authors",
            verified="cases",
            key_map=f"{PACKAGE}.bayesian_attention:reference_keys",
            reference_call=f"{PACKAGE}.bayesian_attention:reference_call",
            notes=(
                "The whole sub-layer with its residual and norm; residual=False leaves them "
                "out. The authors' divergence from a Gamma prior lacks its constant terms: "
                "variant='paper'."
            ),
        ),
        trial=Trial(dead_parameters=(r"(^|\.)key\.bias$", r"(^|\.)prior_net\.")),
    ),
    AttentionSpec(
        name="belief_network",
        aliases=("bayesian_attention_belief_network", "babn"),
        target=f"{PACKAGE}.belief_network:BeliefNetwork",
        family="by_chance",
        contract="tokens",
        masked=True,
        insertion=Insertion(role="none", quadratic=True),
        options=OptionNames(channels=("dim",)),
        provenance=Provenance(
            paper=papers.BELIEF_NETWORK,
            license="Apache-2.0",
            reference="authors",
            verified="cases",
            key_map=(
                (r"^.*(contextual_prior_net|se_linear\d).*$", ""),
                (r"^(\d+)\.", r"layers.\1."),
            ),
            reference_call=f"{PACKAGE}.belief_network:reference_call",
            notes=(
                "In eval the code hands the normalised weights to the next layer as its hidden "
                "state, and its divergence has the softmax for the scale: variant='paper' has "
                "neither."
            ),
        ),
        trial=Trial(dead_parameters=(r"(^|\.)linear_k2?\.bias$", r"(^|\.)linear_prior\.")),
    ),
    AttentionSpec(
        name="repulsive",
        aliases=("repulsive_attention",),
        target=f"{PACKAGE}.repulsive:Repulsive",
        family="by_chance",
        contract="gradient",
        insertion=Insertion(role="none"),
        options=OptionNames(channels=("hidden",), ignored=("device", "dtype")),
        provenance=Provenance(
            paper=papers.REPULSIVE,
            license="Apache-2.0",
            reference="transcribed",
            verified="cases",
            reference_call=f"{PACKAGE}.repulsive:reference_call",
            notes=(
                "The authors' reshape takes every M-th number for a head: split='comb'. The "
                "sampler with noise is method='spos', known from their PyTorch programs only."
            ),
        ),
        trial=Trial(example=f"{PACKAGE}.repulsive:example"),
    ),
    AttentionSpec(
        name="variational",
        aliases=("variational_attention",),
        target=f"{PACKAGE}.variational:Variational",
        family="by_chance",
        contract="context",
        masked=True,
        insertion=Insertion(role="none"),
        options=OptionNames(channels=("dim", "query_dim"), read=f"{PACKAGE}.variational:read_mode"),
        provenance=Provenance(
            paper=papers.VARIATIONAL,
            license="MIT",
            reference="authors",
            verified="cases",
            reference_call=f"{PACKAGE}.variational:reference_call",
            notes=(
                "The paper relaxes by a Dirichlet; the authors' code, and this, by Gumbel noise."
            ),
        ),
    ),
    AttentionSpec(
        name="variational_gaussian",
        target=f"{PACKAGE}.variational_gaussian:VariationalGaussian",
        family="by_chance",
        contract="context",
        masked=True,
        insertion=Insertion(role="none"),
        options=OptionNames(channels=("dim", "query_dim")),
        provenance=Provenance(
            paper=papers.VARIATIONAL_GAUSSIAN,
            license="MIT",
            reference="transcribed",
            verified="cases",
            reference_call=f"{PACKAGE}.variational_gaussian:reference_call",
            notes=(
                "Only the multiplicative score has recorded cases; the additive one is Bahdanau's."
            ),
        ),
    ),
    AttentionSpec(
        name="gaussian",
        aliases=("gaussian_attention", "gatcluster"),
        target=f"{PACKAGE}.gaussian:Gaussian",
        family="by_chance",
        insertion=Insertion(needs_size=True, quadratic=True),
        options=OptionNames(ignored=("act_layer",), read=f"{PACKAGE}.gaussian:read_size"),
        provenance=Provenance(
            paper=papers.GAUSSIAN,
            license="none stated",
            reference="authors",
            verified="cases",
            key_map=(
                (r"\.encoder\.(conv|bn)1_1\.", r".\1."),
                (r"^(theta|ro)_mlp_(\d+)\.lin1\.", r"\1.\2."),
                (r"^(classifier_\w+)\.lin(\d)\.", r"\1.fc\2."),
            ),
            reference_call=f"{PACKAGE}.gaussian:reference_call",
            notes=(
                "The authors' code reads one number for both the second coordinate and the "
                "width: theta='code'. With num_clusters it has their head, by its method "
                "cluster()."
            ),
        ),
        trial=Trial(dead_parameters=(r"(^|\.)(feature|att)_conv\.conv\.bias$",)),
    ),
    AttentionSpec(
        name="uncertainty_aware",
        aliases=("uncertainty_aware_attention",),
        target=f"{PACKAGE}.uncertainty_aware:UncertaintyAware",
        family="by_chance",
        contract="set",
        masked=True,
        insertion=Insertion(role="none"),
        options=OptionNames(channels=("dim", "state_dim"), ignored=("num_tokens",)),
        provenance=Provenance(
            paper=papers.UNCERTAINTY_AWARE,
            license="none stated",
            reference="transcribed",
            verified="cases",
            key_map=f"{PACKAGE}.uncertainty_aware:reference_keys",
            reference_call=f"{PACKAGE}.uncertainty_aware:reference_call",
            notes=(
                "The recurrent networks that make the states lie outside; without them, the input."
            ),
        ),
        trial=Trial(dead_parameters=(r"(^|\.)alpha\.mu\.bias$",)),
    ),
)

"""Self-attention in the place of a convolution. No torch."""

from zoo.registry.specs import AttentionSpec, Insertion, OptionNames, Provenance, Trial
from zoo_plugins import papers

PACKAGE = "zoo_plugins.mechanisms.self_attention"
CONVOLUTION = ("dilation", "groups")  # what a replaced convolution says of itself

ATTENTIONS = (
    AttentionSpec(
        name="stand_alone",
        aliases=("sasa", "stand_alone_self_attention"),
        target=f"{PACKAGE}.stand_alone:stand_alone",
        family="self_attention",
        contract="map_channels",
        insertion=Insertion(role="replace_conv", keeps_norm=True),
        options=OptionNames(ignored=("dilation",), read=f"{PACKAGE}.stand_alone:read_options"),
        provenance=Provenance(
            paper=papers.STAND_ALONE,
            license="MIT",
            reference="equations",
            verified="cases",
            key_map=f"{PACKAGE}.stand_alone:from_authors",
            reference_call=f"{PACKAGE}.stand_alone:reference_call",
            notes=(
                "The authors published no code. The two ports sum the products of query and key"
                " over all heads (merhs), or not at all (leaderj1001); the default follows "
                "equation 3."
            ),
        ),
        trial=Trial(dead_parameters=(r"(^|\.)key\.bias$",)),
    ),
    AttentionSpec(
        name="halo",
        aliases=("halo_attention", "halonet"),
        target=f"{PACKAGE}.halo:Halo",
        family="self_attention",
        contract="map_channels",
        insertion=Insertion(role="replace_conv", keeps_norm=True),
        options=OptionNames(ignored=CONVOLUTION),
        provenance=Provenance(
            paper=papers.HALO,
            license="Apache-2.0",
            reference="independent",
            verified="cases",
            notes=(
                "No code of the authors is public; timm's meets positions with unscaled queries."
            ),
        ),
    ),
    AttentionSpec(
        name="bottleneck",
        aliases=("bottleneck_attention", "bot", "botnet"),
        target=f"{PACKAGE}.bottleneck:Bottleneck",
        family="self_attention",
        contract="map_channels",
        insertion=Insertion(
            role="replace_conv",
            default_sites="last_stage",
            quadratic=True,
            needs_size=True,
            keeps_norm=True,
        ),
        options=OptionNames(ignored=CONVOLUTION),
        provenance=Provenance(
            paper=papers.BOTTLENECK,
            license="Apache-2.0",
            reference="independent",
            verified="cases",
            notes=(
                "timm meets positions with unscaled queries, the authors' gist with scaled ones."
            ),
        ),
    ),
    AttentionSpec(
        name="lambda_layer",
        aliases=("lambda", "lambda_networks"),
        target=f"{PACKAGE}.lambda_layer:LambdaLayer",
        family="self_attention",
        contract="map_channels",
        insertion=Insertion(role="replace_conv", keeps_norm=True),
        options=OptionNames(ignored=CONVOLUTION, read=f"{PACKAGE}.lambda_layer:read_options"),
        provenance=Provenance(
            paper=papers.LAMBDA_LAYER,
            license="Apache-2.0",
            reference="independent",
            verified="cases",
            notes=(
                "The author published pseudo-code; timm's default window is 9 x 9, the paper's 23. "
                "Beside a convolution the norm of q starts at 1 / r: with 1, the gradient of alpha "
                "is so large that docs/warm-starts.md measured 1.38 times the backbone's in all."
            ),
        ),
    ),
    AttentionSpec(
        name="acmix",
        aliases=("ac_mix",),
        target=f"{PACKAGE}.acmix:ACmix",
        family="self_attention",
        contract="map_channels",
        insertion=Insertion(role="replace_conv", folds_tokens=True, keeps_norm=True),
        options=OptionNames(
            aliases={
                "in_planes": "in_channels",
                "out_planes": "out_channels",
                "head": "num_heads",
                "kernel_att": "kernel_size",
            },
            fixed={"kernel_conv": 3},
            ignored=("dilation", "groups"),  # what a replaced convolution says of itself
            read=f"{PACKAGE}.acmix:read_options",
        ),
        provenance=Provenance(
            paper=papers.ACMIX,
            license="none stated in the repository",
            reference="authors",
            verified="cases",
            notes=(
                "The two paths order their channels differently and are added so. The authors' "
                "Swin form is left out."
            ),
        ),
        trial=Trial(dead_parameters=(r"(^|\.)conv_p\.bias$",)),
    ),
)

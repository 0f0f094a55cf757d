"""Attention of a higher order: products of features, paths in a graph of positions. No torch."""

from zoo.specs import AttentionSpec, Paper

ATTENTIONS = (
    AttentionSpec(
        name="mixed_high_order",
        aliases=("mhn",),
        target="zoo_plugins.channel.mixed_high_order:MixedHighOrder",
        family="channel",
        identity="exact",
        identity_gate=0.5,
        paper=Paper(
            title="Mixed High-Order Attention Network for Person Re-Identification",
            authors="Binghui Chen, Weihong Deng, Jiani Hu",
            venue="ICCV",
            year=2019,
            arxiv="1908.05819",
        ),
        license="MIT",
        reference="authors",
        verified="cases",
        key_map="zoo_plugins.channel.mixed_high_order:carry_keys",
        reference_call="zoo_plugins.channel.mixed_high_order:reference_call",
        notes="One order unless mixed=True, which joins the orders along the batch.",
    ),
    AttentionSpec(
        name="high_order",
        aliases=("hanet", "high_order_graph"),
        target="zoo_plugins.channel.high_order:HighOrder",
        family="channel",
        quadratic=True,
        identity="exact",
        identity_gate=1.0,
        paper=Paper(
            title="High-Order Attention Networks for Medical Image Segmentation",
            authors="Fei Ding et al.",
            venue="MICCAI",
            year=2020,
            doi="10.1007/978-3-030-59710-8_25",
        ),
        license="n/a",
        reference="equations",
        verified="equations",
        notes="Of the paper the abstract could be read; the choices are stated with the module.",
    ),
)

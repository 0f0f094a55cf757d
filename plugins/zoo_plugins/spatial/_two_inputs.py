"""Spatial attention that is guided: by more maps, by logits, or by a field of its own. No torch."""

from zoo.specs import AttentionSpec, Paper

ATTENTIONS = (
    AttentionSpec(
        name="multi_context",
        aliases=("multi_context_attention",),
        target="zoo_plugins.spatial.multi_context:MultiContext",
        family="spatial",
        identity="exact",
        identity_gate=0.5,
        paper=Paper(
            title="Multi-Context Attention for Human Pose Estimation",
            authors="Xiao Chu, Wei Yang, Wanli Ouyang, Cheng Ma, Alan L. Yuille, Xiaogang Wang",
            venue="CVPR",
            year=2017,
            arxiv="1702.07432",
        ),
        license="BSD-3-Clause",
        reference="transcribed",
        verified="cases",
        key_map="zoo_plugins.spatial.multi_context:carry_keys",
        reference_call="zoo_plugins.spatial.multi_context:reference_call",
        notes="forward gives the holistic attention; attend gives the parts' scores too.",
    ),
    AttentionSpec(
        name="pyramid_feature",
        aliases=("pfa", "pyramid_feature_attention"),
        target="zoo_plugins.spatial.pyramid_feature:PyramidFeature",
        family="spatial",
        contract="map_pair",
        role="none",
        dead_parameters=(r"(^|\.)(high|low\d?|spatial\.\d)\.[03]\.bias$",),  # norms take them out
        paper=Paper(
            title="Pyramid Feature Attention Network for Saliency Detection",
            authors="Ting Zhao, Xiangqian Wu",
            venue="CVPR",
            year=2019,
            arxiv="1903.00179",
        ),
        license="none stated in the authors' repository; MIT (the port)",
        reference="transcribed",
        verified="cases",
        key_map="zoo_plugins.spatial.pyramid_feature:carry_keys",
        reference_call="zoo_plugins.spatial.pyramid_feature:reference_call",
        example="zoo_plugins.spatial.pyramid_feature:example",
        notes="The authors normalise by the batch at test time too: bn_batch_statistics=True.",
    ),
    AttentionSpec(
        name="spatial_attention_pyramid",
        aliases=("sapnet",),
        target="zoo_plugins.spatial.spatial_attention_pyramid:SpatialAttentionPyramid",
        family="spatial",
        contract="map_pair",
        role="none",
        paper=Paper(
            title="Spatial Attention Pyramid Network for Unsupervised Domain Adaptation",
            authors="Congcong Li, Dawei Du, Libo Zhang, Longyin Wen, Tiejian Luo, Yanjun Wu, "
            "Pengfei Zhu",
            venue="ECCV",
            year=2020,
            arxiv="2003.12979",
        ),
        license="none stated in the repository",
        reference="authors",
        verified="cases",
        key_map="zoo_plugins.spatial.spatial_attention_pyramid:carry_keys",
        reference_call="zoo_plugins.spatial.spatial_attention_pyramid:reference_call",
        example="zoo_plugins.spatial.spatial_attention_pyramid:example",
        notes="The levels are weighed per channel by a softmax, not joined.",
    ),
    AttentionSpec(
        name="region",
        aliases=("ranet", "region_attention"),
        target="zoo_plugins.spatial.region:Region",
        family="spatial",
        contract="map_pair",
        role="none",
        quadratic=True,
        channel_arguments=("in_channels", "channels"),
        paper=Paper(
            title="RANet: Region Attention Network for Semantic Segmentation",
            authors="Dingguo Shen, Yuanfeng Ji, Ping Li, Yi Wang, Di Lin",
            venue="NeurIPS",
            year=2020,
        ),
        license="none stated in the repository",
        reference="authors",
        verified="cases",
        key_map="zoo_plugins.spatial.region:carry_keys",
        reference_call="zoo_plugins.spatial.region:reference_call",
        example="zoo_plugins.spatial.region:example",
        notes=(
            "Its ReLUs are leaky, by their library's default; lines within the last row or column "
            "meet no boundary, by its kernel."
        ),
    ),
)

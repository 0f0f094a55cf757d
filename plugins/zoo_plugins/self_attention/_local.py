"""Specs of self-attention in windows, on blocks and on sorted chunks of a map."""

from zoo.specs import AttentionSpec, Paper

LOCAL = (
    AttentionSpec(
        name="bat",
        aliases=("bilinear_attention",),
        target="zoo_plugins.self_attention.bat:BilinearAttention",
        family="self_attention",
        paper=Paper(
            title="Non-Local Neural Networks With Grouped Bilinear Attentional Transforms",
            authors="Lu Chi, Zehuan Yuan, Yadong Mu, Changhu Wang",
            venue="CVPR",
            year=2020,
            doi="10.1109/CVPR42600.2020.01182",
        ),
        license="Apache-2.0",
        reference="transcribed",
        verified="cases",
        notes="Maps that are no multiple of block_size are padded; timm and the authors refuse.",
    ),
    AttentionSpec(
        name="outlook",
        aliases=("outlook_attention", "volo"),
        target="zoo_plugins.self_attention.outlook:Outlook",
        family="self_attention",
        channel_arguments=("dim",),
        paper=Paper(
            title="VOLO: Vision Outlooker for Visual Recognition",
            authors="Li Yuan, Qibin Hou, Zihang Jiang, Jiashi Feng, Shuicheng Yan",
            venue="TPAMI",
            year=2022,
            arxiv="2106.13112",
        ),
        license="Apache-2.0",
        reference="transcribed",
        verified="cases",
        reference_call="zoo_plugins.self_attention.outlook:reference_call",
        notes="qkv_bias is of the values only.",
    ),
    AttentionSpec(
        name="window",
        aliases=("window_attention", "w_msa"),
        target="zoo_plugins.self_attention.window:WindowedAttention",
        family="self_attention",
        channel_arguments=("dim",),
        paper=Paper(
            title="Swin Transformer: Hierarchical Vision Transformer using Shifted Windows",
            authors="Ze Liu et al.",
            venue="ICCV",
            year=2021,
            arxiv="2103.14030",
        ),
        license="Apache-2.0",
        reference="transcribed",
        verified="cases",
        reference_call="zoo_plugins.self_attention.window:reference_call",
        notes="Maps are cut into windows; a reference case records the layer on windows.",
    ),
    AttentionSpec(
        name="non_local_sparse",
        aliases=("nlsa", "nlsn"),
        target="zoo_plugins.self_attention.non_local_sparse:NonLocalSparse",
        family="self_attention",
        identity="exact",
        paper=Paper(
            title="Image Super-Resolution with Non-Local Sparse Attention",
            authors="Yiqun Mei, Yuchen Fan, Yuqian Zhou",
            venue="CVPR",
            year=2021,
            doi="10.1109/CVPR46437.2021.00352",
        ),
        reference="authors",
        verified="cases",
        key_map=((r"(^|\.)(conv_match|conv_assembly)\.0\.", r"\1\2."),),
        notes=(
            "The authors draw new hash rotations in every call, and sort unstably; here the sort "
            "is stable and the rotations are fixed in eval."
        ),
    ),
)

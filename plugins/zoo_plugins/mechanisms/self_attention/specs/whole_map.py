"""Self-attention in which a position of a map sees the whole map. No torch."""

from zoo.registry.specs import AttentionSpec, Insertion, OptionNames, Provenance, Trial, Width
from zoo_plugins import papers

PACKAGE = "zoo_plugins.mechanisms.self_attention"

ATTENTIONS = (
    AttentionSpec(
        name="non_local",
        aliases=("nl", "non_local_block"),
        target=f"{PACKAGE}.non_local:NonLocal",
        family="self_attention",
        insertion=Insertion(identity="exact", quadratic=True),
        options=OptionNames(
            width=Width(limit=0.9),
            fixed={"bias": True},
            ignored=("act_layer",),
            read=f"{PACKAGE}.non_local:read_options",
        ),
        provenance=Provenance(
            paper=papers.NON_LOCAL,
            license="Apache-2.0",
            reference="independent",
            verified="cases",
            key_map=(
                (r"(^|\.)theta\.", r"\1t."),
                (r"(^|\.)phi\.(0\.)?", r"\1p."),
                (r"(^|\.)g\.0\.", r"\1g."),
                (r"(^|\.)concat_project\.0\.", r"\1concat."),
                (r"(^|\.)W\.0\.", r"\1z."),
                (r"(^|\.)W\.1\.", r"\1norm."),
                (r"(^|\.)W\.", r"\1z."),
                (r"(^|\.)out\.", r"\1z."),
                (r"(^|\.)bn\.", r"\1norm."),
            ),
            reference_call=f"{PACKAGE}.non_local:reference_call",
            notes=(
                "The authors' code scales the logits and pools the keys by default; the paper's"
                " equations do neither."
            ),
        ),
        trial=Trial(dead_parameters=(r"(^|\.)p\.bias$", r"(^|\.)g\.bias$", r"(^|\.)z\.bias$")),
    ),
    AttentionSpec(
        name="axial",
        aliases=("axial_attention", "axial_deeplab"),
        target=f"{PACKAGE}.axial:axial",
        family="self_attention",
        insertion=Insertion(needs_size=True),
        options=OptionNames(
            aliases={"kernel_size": "feat_size", "groups": "num_heads"},
            fixed={"bias": False},
            read=f"{PACKAGE}.axial:read_options",
        ),
        provenance=Provenance(
            paper=papers.AXIAL,
            license="Apache-2.0",
            reference="authors",
            verified="cases",
            key_map=((r"^(.*\.)?flatten_index$", ""),),
            notes=(
                "The authors' PyTorch code batch-norms the three terms of the logits and the "
                "two of the output before summing them."
            ),
        ),
        trial=Trial(
            dead_parameters=(r"(^|\.)bn_similarity\.bias$", r"(^|\.)hight_block\.bn_output\.bias$")
        ),
    ),
    AttentionSpec(
        name="efficient",
        aliases=("efficient_attention",),
        target=f"{PACKAGE}.efficient:EfficientAttention",
        family="self_attention",
        insertion=Insertion(identity="exact"),
        provenance=Provenance(
            paper=papers.EFFICIENT,
            license="MIT",
            reference="authors",
            verified="cases",
            notes=(
                "The authors' code has the softmax normalisation only, and always adds the input."
            ),
        ),
        trial=Trial(dead_parameters=(r"(^|\.)keys\.bias$",)),
    ),
    AttentionSpec(
        name="external",
        aliases=("external_attention", "eanet"),
        target=f"{PACKAGE}.external:ExternalAttention",
        family="self_attention",
        provenance=Provenance(
            paper=papers.EXTERNAL,
            reference="authors",
            verified="cases",
            notes=(
                "The authors' block adds the input and ends in a ReLU; the paper's equations do"
                " not."
            ),
        ),
        trial=Trial(dead_parameters=(r"(^|\.)conv1\.bias$",)),
    ),
    AttentionSpec(
        name="criss_cross",
        aliases=("ccnet", "cca"),
        target=f"{PACKAGE}.criss_cross:CrissCross",
        family="self_attention",
        insertion=Insertion(identity="exact"),
        options=OptionNames(width=Width()),
        provenance=Provenance(
            paper=papers.CRISS_CROSS,
            license="MIT",
            reference="authors",
            verified="cases",
            notes="One pass by default in the authors' class; two in the paper and here.",
        ),
        trial=Trial(dead_parameters=(r"(^|\.)key_conv\.bias$",)),
    ),
    AttentionSpec(
        name="ema_unit",
        aliases=("emau", "emanet"),
        shared_names=("ema",),
        target=f"{PACKAGE}.ema_unit:EMAUnit",
        family="self_attention",
        provenance=Provenance(
            paper=papers.EMA_UNIT,
            license="GPL-3.0",
            reference="authors",
            verified="cases",
            reference_call=f"{PACKAGE}.ema_unit:reference_call",
            notes=(
                "No gradient passes through the iterations in the authors' code, so its first "
                "convolution is never trained."
            ),
        ),
        trial=Trial(dead_parameters=(r"(^|\.)conv1\.(weight|bias)$",)),
    ),
    AttentionSpec(
        name="bat",
        aliases=("bilinear_attention",),
        target=f"{PACKAGE}.bat:BilinearAttention",
        family="self_attention",
        options=OptionNames(width=Width(limit=0.9)),
        provenance=Provenance(
            paper=papers.BAT,
            license="Apache-2.0",
            reference="transcribed",
            verified="cases",
            notes=(
                "Maps that are no multiple of block_size are padded; timm and the authors refuse."
            ),
        ),
    ),
    AttentionSpec(
        name="non_local_sparse",
        aliases=("nlsa", "nlsn"),
        target=f"{PACKAGE}.non_local_sparse:NonLocalSparse",
        family="self_attention",
        insertion=Insertion(identity="exact", default_form="residual"),
        options=OptionNames(width=Width()),
        provenance=Provenance(
            paper=papers.NON_LOCAL_SPARSE,
            reference="authors",
            verified="cases",
            key_map=((r"(^|\.)(conv_match|conv_assembly)\.0\.", r"\1\2."),),
            notes=(
                "The authors draw new hash rotations in every call, and sort unstably; here the"
                " sort is stable and the rotations are fixed in eval."
            ),
        ),
    ),
    AttentionSpec(
        name="single_head",
        aliases=("shsa", "shvit", "single_head_attention"),
        target=f"{PACKAGE}.single_head:SingleHead",
        family="self_attention",
        insertion=Insertion(folds_tokens=True, quadratic=True),
        options=OptionNames(channels=("dim",), aliases={"partial_dim": "pdim"}),
        provenance=Provenance(
            paper=papers.SHVIT,
            license="MIT",
            reference="authors",
            verified="cases",
            notes="timm's layer computes the same.",
        ),
        trial=Trial(dead_parameters=(r"(^|\.)pre_norm\.bias$",)),
    ),
)

"""The tables of a recipe: data, optimizer, schedule, and what is done to images."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Which images are trained on. The test set is never read.

    Attributes:
        name: the name of the data set. With `[images]` it may be a folder too.
        splits: the parts of the data set that are taken together; if none is named, `train`.
        holdout: how many images are kept for validation: a number of all, or a list with one number
            for each split.
        holdout_share: with `[images]`, the share of each class that is kept for validation, if the
            data set has no validation split of its own and `holdout` is 0.
        holdout_seed: the seed that draws them.
        label_noise: the share of the other images that get a wrong label.
    """

    name: str
    splits: list[str] = field(default_factory=list[str])
    holdout: int | list[int] = 0
    holdout_share: float = 0.0
    holdout_seed: int = 0
    label_noise: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimizer:
    """The optimizer, and the one-cycle schedule of a recipe without `[schedule]`.

    Attributes:
        name: as in `timm.optim.create_optimizer_v2`.
        lr: the highest rate of the schedule. With `drops` it is the first rate instead.
        warmup: the share of the steps of the one-cycle schedule in which the rate rises.
        clip_norm: the largest norm of all gradients together; with 0 they are not clipped.
        drops: shares of the steps after each of which the rate is divided by ten.
        fused: whether PyTorch's fused implementation is used.
        layer_decay: each layer's rate as a share of that of the layer above it, by timm's
            `group_matcher`. With 0 all layers have the same rate. It needs `[schedule]`.
        attention_scale, classifier_scale: what the rate of the attention and of the classifier is
            multiplied by, where they are new. They need `[schedule]`.
    """

    name: str = "adamw"
    lr: float
    weight_decay: float = 0.0
    warmup: float = 0.3
    clip_norm: float = 0.0
    drops: list[float] = field(default_factory=list[float])
    fused: bool = False
    layer_decay: float = 0.0
    attention_scale: float = 1.0
    classifier_scale: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A schedule of timm's, in place of the one-cycle schedule. The rate changes at each step.

    Attributes:
        name: as in `timm.scheduler.create_scheduler_v2`: cosine, tanh, poly, constant, wsd, ...
        warmup_epochs: the epochs in which the rate rises from `warmup_lr`.
        warmup_lr, min_lr: the first and the lowest rate.
    """

    name: str = "cosine"
    warmup_epochs: float = 0.0
    warmup_lr: float = 1e-6
    min_lr: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Augment:
    """Random distortions of training images, each uniform in plus or minus its limit, by default 0.

    They are for images in memory, which all have one size. `[images]` has others.

    Attributes:
        rotate: in degrees.
        shear: as a fraction.
        scale: in log units.
        translate: in pixels.
        elastic: the standard deviation in pixels of a smooth displacement field, drawn on a grid of
            5 by 5 points.
        crop: moves an image by up to so many whole pixels.
        flip: mirrors one image in two.
    """

    rotate: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    translate: float = 0.0
    elastic: float = 0.0
    crop: int = 0
    flip: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSettings:
    """How images of any size are read and augmented: the table `[images]`.

    With this table, images are decoded by worker processes as they are needed, and a data set may
    be larger than memory. What is random about an image follows from the seed, the epoch and the
    image alone, so neither the number of workers nor an interruption changes the result. The
    augmentations are timm's, under its names.

    Attributes:
        size: the side of the square that the model is trained and measured on, in pixels. With 0 it
            is the model's own input size.
        scale: the least and the greatest share of the image that a random crop takes. An empty list
            leaves the random crop out: images are resized and centre-cropped as in evaluation.
        ratio: the least and the greatest ratio of width to height of the crop.
        hflip, vflip: the probability of mirroring an image.
        color_jitter: how far brightness, contrast and saturation may change, as a fraction.
        auto_augment: timm's words for RandAugment, AutoAugment or AugMix, such as
            "rand-m9-mstd0.5-inc1".
        interpolation: how images are resized; "random" is bilinear or bicubic by chance.
        random_erasing: the probability that a rectangle of the image is replaced by noise.
        mixup, cutmix: the parameter alpha of the Beta distribution, 0 for none. With both, one of
            them is chosen for each batch.
        mix_prob: the probability that a batch is mixed.
        repeats: how often each image is in an epoch, augmented anew each time. An epoch has as many
            steps as without (repeated augmentation, arXiv 1901.09335).
    """

    size: int = 0
    scale: list[float] = field(default_factory=lambda: [0.08, 1.0])
    ratio: list[float] = field(default_factory=lambda: [0.75, 4 / 3])
    hflip: float = 0.5
    vflip: float = 0.0
    color_jitter: float = 0.0
    auto_augment: str = ""
    interpolation: str = "random"
    random_erasing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    mix_prob: float = 1.0
    repeats: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Distill:
    """Learn from the answers of a trained model, the teacher, together with the labels.

    The loss is (1 - weight) loss + weight T^2 KL(teacher || student), where both distributions are
    softmax(logits / T) (Hinton et al. 2015, arXiv 1503.02531). The teacher sees the same images.

    Attributes:
        teacher: a model with the same classes: a name, a file or the folder of a run.
        weight: from 0 to 1.
        temperature: T.
    """

    teacher: str
    weight: float = 0.5
    temperature: float = 2.0

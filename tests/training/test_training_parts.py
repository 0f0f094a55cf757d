"""Optimizers, schedules, losses, and what is frozen, each against timm's or torch's own."""

from __future__ import annotations

import copy
import random
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from timm.data import Mixup
from timm.data.random_erasing import RandomErasing
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from timm.utils import ModelEmaV3

import zoo
from zoo.data.preprocessing import Preprocessing, ToPixels
from zoo.errors import RecipeError
from zoo.feeding.data import Images
from zoo.feeding.feed import InMemory
from zoo.feeding.mixing import Mixing
from zoo.feeding.order import Order
from zoo.feeding.photographs import augmented
from zoo.feeding.seeding import seeded
from zoo.recipes import Distill, ImageSettings, Optimizer, Schedule, finetune_recipe
from zoo.runtime.processes import Processes
from zoo.training import prepare
from zoo.training.loop import Trainer
from zoo.training.objective import BinaryCrossEntropy, CrossEntropy
from zoo.training.optimizer import build_optimizer, build_schedule
from zoo.training.parts import train_only
from zoo.training.prepare import build_model
from zoo.training.teacher import distilled

ALONE = Processes(0, 1, torch.device("cpu"))


@pytest.fixture
def warm(tmp_path):
    """An attention in a backbone whose weights are known, with a classifier of its own."""
    plain = zoo.create_model("test_resnet", num_classes=7)
    file = zoo.save_model(plain, tmp_path / "plain.safetensors")
    return zoo.create_model("se_test_resnet", backbone_weights=file, num_classes=3)


def test_rates_follow_timms_schedule_and_layer_decay_at_each_step():
    recipe = finetune_recipe("test_vit", "x", epochs=3, layer_decay=0.7, warmup_epochs=1)
    model = timm.create_model("test_vit", num_classes=3)
    ours = build_optimizer(model, recipe)
    schedule = build_schedule(ours, recipe, total_steps=12)
    theirs = create_optimizer_v2(model, "adamw", lr=5e-4, weight_decay=0.05, layer_decay=0.7)
    timms, _ = create_scheduler_v2(
        theirs, "cosine", num_epochs=3, warmup_epochs=1, warmup_lr=1e-6, step_on_epochs=False,
        updates_per_epoch=4,
    )  # fmt: skip
    timms.step_update(0)
    for step in range(1, 13):
        rates = [group["lr"] for group in ours.param_groups]
        assert rates == [group["lr"] for group in theirs.param_groups] and len(set(rates)) > 1
        schedule.step()
        timms.step_update(step)
    other = build_schedule(build_optimizer(model, recipe), recipe, 12)
    other.load_state_dict({"steps": 5})
    assert other.state_dict() == {"steps": 5}


@pytest.mark.parametrize("settings", [{}, {"layer_decay": 0.7}], ids=str)
def test_new_parts_have_rates_of_their_own(warm, settings):
    def rates(**scales):
        recipe = finetune_recipe("se_test_resnet", "x", **settings, **scales)
        optimizer = build_optimizer(warm, recipe)
        build_schedule(optimizer, recipe, 10).step()
        assert all(group["params"] for group in optimizer.param_groups)
        return [(id(p), g["lr"]) for g in optimizer.param_groups for p in g["params"]]

    found, usual = rates(attention_scale=4.0, classifier_scale=10.0), dict(rates())
    assert len(found) == len(usual) and usual.keys() == {id(p) for p in warm.parameters()}
    attention = {id(p) for p in zoo.attention_parameters(warm)}
    head = {id(p) for p in warm.get_classifier().parameters()}
    for key, rate in found:
        scale = 4 if key in attention else 10 if key in head else 1
        assert rate == pytest.approx(scale * usual[key])


@pytest.mark.parametrize("part", ["attention", "head"])
def test_what_is_not_trained_stands_still(warm, part):
    before = copy.deepcopy(warm.state_dict())
    train_only(warm, part)
    recipe = finetune_recipe("se_test_resnet", "x", batch_size=4, epochs=1, warmup_epochs=0)
    data = Images(torch.randint(0, 256, (8, 3, 32, 32), dtype=torch.uint8), torch.arange(8) % 3)
    feed = InMemory(data, Order(8, 4, 0), ALONE)
    for _ in Trainer(recipe, warm, CrossEntropy(warm), feed, data).run():
        pass
    moved = {k for k, v in warm.state_dict().items() if not torch.equal(v, before[k])}
    attention = {id(p) for p in zoo.attention_parameters(warm)}
    own = {k for k, p in warm.named_parameters() if id(p) in attention}
    head = {k for k in before if k.startswith("fc.")}
    assert head <= moved and moved <= (head | own if part == "attention" else head)
    assert part == "head" or moved & own


def test_a_batch_in_parts_gives_the_gradients_of_the_whole():
    torch.manual_seed(0)
    model = timm.create_model("test_vit", num_classes=3)
    data = Images(torch.randint(0, 256, (8, 3, 160, 160), dtype=torch.uint8), torch.arange(8) % 3)
    weights = []
    for parts in (1, 4):
        recipe = finetune_recipe(
            "test_vit", "x", batch_size=8, epochs=1, accumulate=parts,
            optimizer=Optimizer(name="sgd", lr=0.1), schedule=Schedule(),
        )  # fmt: skip
        own = copy.deepcopy(model)
        feed = InMemory(data, Order(8, 8, 0), ALONE)
        list(Trainer(recipe, own, CrossEntropy(own), feed, data).run())
        weights.append(own.state_dict())
    for key, value in weights[0].items():
        torch.testing.assert_close(value, weights[1][key], rtol=1e-4, atol=1e-6)


class Recorded(CrossEntropy):
    """Notes how far the training was at each call, and the mode of the model. A third of all images
    are always wrong.
    """

    def __init__(self, model):
        super().__init__(model)
        self.progress, self.net, self.modes = [], model, []

    def __call__(self, images, targets, progress):
        self.progress.append(progress)
        self.modes.append(self.net.training)
        return super().__call__(images, targets, progress)

    def wrong(self, model, images, targets):
        assert not model.training
        return {"val_error": torch.tensor(len(targets) / 3)}


@pytest.mark.parametrize("ema", [0.9, 0.0])
def test_a_run_keeps_timms_average_its_first_best_epoch_and_says_how_far_it_is(ema):
    torch.manual_seed(0)
    model = timm.create_model("test_resnet", num_classes=3)
    data = Images(torch.randint(0, 256, (8, 3, 32, 32), dtype=torch.uint8), torch.arange(8) % 3)
    recipe = finetune_recipe(
        "test_resnet", "x", batch_size=4, epochs=3, warmup_epochs=0, ema_decay=ema
    )
    objective, feed = Recorded(model), InMemory(data, Order(8, 4, 0), ALONE)
    trainer = Trainer(recipe, model, objective, feed, data)
    mirror = ModelEmaV3(model, decay=0.9, use_warmup=True)
    for step, _ in enumerate(trainer.run(), 1):
        mirror.update(trainer.model, step=step)
    kept = mirror.module if ema else model
    torch.testing.assert_close(trainer.averaged.state_dict(), kept.state_dict())
    assert objective.progress == [step / 6 for step in range(6)]
    assert objective.modes == [True] * 6  # also after the model was measured
    assert [row["val_error"] for row in trainer.curve] == pytest.approx([100 / 3] * 3)
    assert trainer.best["epoch"] == 1


@pytest.mark.parametrize(("clip", "length"), [(0.002, 0.002), (1e6, None)])
def test_gradients_are_clipped_to_a_norm(clip, length):
    torch.manual_seed(0)
    model = timm.create_model("test_vit", num_classes=3)
    data = Images(torch.randint(0, 256, (4, 3, 160, 160), dtype=torch.uint8), torch.arange(4) % 3)
    sgd = Optimizer(name="sgd", lr=1.0, weight_decay=0.0, clip_norm=clip)
    recipe = finetune_recipe(
        "test_vit", "x", batch_size=4, epochs=1, optimizer=sgd, schedule=Schedule()
    )
    feed = InMemory(data, Order(4, 4, 0), ALONE)
    list(Trainer(recipe, model, CrossEntropy(model), feed, data).run())
    norm = float(torch.stack([p.grad.norm() for p in model.parameters()]).norm())
    assert norm == pytest.approx(length, rel=1e-3) if length else norm > 0.01


def test_losses_are_those_of_timm_and_torch_with_shares_of_classes_too():
    torch.manual_seed(0)
    logits, labels = torch.randn(6, 4), torch.tensor([0, 1, 2, 3, 1, 2])
    model = torch.nn.Identity()
    smooth = CrossEntropy(model, label_smoothing=0.1)
    timms = timm.loss.LabelSmoothingCrossEntropy(0.1)
    torch.testing.assert_close(smooth(logits, labels, 0)[0], timms(logits, labels))
    with seeded(3):
        _, mixed = Mixup(0.8, label_smoothing=0.0, num_classes=4)(torch.rand(6, 3, 8, 8), labels)
    with seeded(3):
        _, soft = Mixup(0.8, label_smoothing=0.1, num_classes=4)(torch.rand(6, 3, 8, 8), labels)
    expected = timm.loss.SoftTargetCrossEntropy()(logits, soft)
    torch.testing.assert_close(smooth(logits, mixed, 0)[0], expected)
    binary = BinaryCrossEntropy(model, label_smoothing=0.1)
    expected = timm.loss.BinaryCrossEntropy(0.1)(logits, labels)
    torch.testing.assert_close(binary(logits, labels, 0)[0], expected)
    torch.testing.assert_close(binary(logits, F.one_hot(labels, 4).float(), 0)[0], expected)
    expected = timm.loss.BinaryCrossEntropy(0.0)(logits, soft)
    torch.testing.assert_close(binary(logits, mixed, 0)[0], expected)
    wrong = smooth.wrong(model, F.one_hot(labels, 4).float(), labels)
    assert wrong == {"val_error": 0}


def test_a_teacher_gives_hintons_loss_on_images_as_it_takes_them(tmp_path):
    student = timm.create_model("test_resnet", num_classes=3).eval()
    taken = {"mean": (0.3, 0.4, 0.5), "std": (0.1, 0.2, 0.3)}
    teacher = zoo.create_model("test_resnet", num_classes=3).eval()
    teacher.pretrained_cfg.update(taken)
    file = zoo.save_model(teacher, tmp_path / "teacher.safetensors")
    settings = Distill(teacher=str(file), weight=0.3, temperature=3.0)
    objective = CrossEntropy(student)
    found = distilled(objective, student, settings, torch.device("cpu"))
    assert not found.teacher.training and found.wrong == objective.wrong
    assert not any(p.requires_grad for p in found.teacher.parameters())
    x, labels = torch.randn(5, 3, 32, 32), torch.tensor([0, 1, 2, 0, 1])
    loss, scalars = found(x, labels, 0.0)
    own, ours = student.pretrained_cfg, student(x)
    pixels = x * per_channel(own["std"]) + per_channel(own["mean"])
    theirs = teacher((pixels - per_channel(taken["mean"])) / per_channel(taken["std"]))
    p, q = (theirs / 3).softmax(1), (ours / 3).log_softmax(1)
    hinton = 9 * (p * (p.log() - q)).sum(1).mean()
    torch.testing.assert_close(loss, 0.7 * F.cross_entropy(ours, labels) + 0.3 * hinton)
    torch.testing.assert_close(scalars["distillation"], hinton.detach())
    assert scalars["train_error"] == 20 * (ours.argmax(1) != labels).sum()


def per_channel(values):
    return torch.tensor(values).view(3, 1, 1)


def test_a_teacher_named_by_its_model_is_pretrained_and_must_have_the_same_classes():
    name = "residual_attention_56_cifar_small"
    student = zoo.create_model(name)
    settings = Distill(teacher=name)
    found = distilled(CrossEntropy(student), student, settings, torch.device("cpu"))
    for key, value in zoo.create_model(name, pretrained=True).state_dict().items():
        assert torch.equal(value, found.teacher.state_dict()[key]), key
    other = timm.create_model("test_resnet", num_classes=5)
    with pytest.raises(RecipeError, match="has 10 classes and the model 5"):
        distilled(CrossEntropy(other), other, settings, torch.device("cpu"))


@pytest.mark.parametrize(
    ("names", "refused"),
    [
        (["cat", "Dog", "owl"], ""),
        ([], ""),
        (["cat", "owl", "dog"], "another order of them: dog, owl"),
        (["cat", "dog", "emu"], "other classes than the data, .*: owl"),
    ],
)
def test_a_teacher_that_names_other_classes_is_refused(tmp_path, names, refused):
    student, teacher = (zoo.create_model("test_resnet", num_classes=3) for _ in range(2))
    student.pretrained_cfg.update(label_names=["cat", "dog", "owl"], num_classes=3)
    teacher.pretrained_cfg["label_names"] = names
    settings = Distill(teacher=str(zoo.save_model(teacher, tmp_path / "teacher.safetensors")))
    with pytest.raises(RecipeError, match=refused) if refused else nullcontext():
        distilled(CrossEntropy(student), student, settings, ALONE.device)


@pytest.mark.filterwarnings("ignore:Pretrained")
def test_a_teacher_that_cannot_take_the_images_is_named(tmp_path):
    student = zoo.create_model("test_resnet", num_classes=3)
    grey = zoo.create_model("test_resnet", num_classes=3, in_chans=1)
    settings = Distill(teacher=str(zoo.save_model(grey, tmp_path / "grey.safetensors")))
    objective = distilled(CrossEntropy(student), student, settings, ALONE.device)
    with pytest.raises(RecipeError, match=r"grey.safetensors cannot take .* \(3, 32, 32\)"):
        objective(torch.randn(2, 3, 32, 32), torch.tensor([0, 1]), 0.0)


def test_what_is_drawn_for_a_step_follows_from_the_step_alone():
    settings = ImageSettings(mixup=0.5, cutmix=1.0, random_erasing=1.0)
    mixing = Mixing.of(settings, 3, seed=0, processes=ALONE)
    images, labels = torch.rand(4, 3, 16, 16), torch.tensor([0, 1, 2, 0])
    states = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()
    first = mixing(images.clone(), labels, 7)
    assert random.getstate() == states[0] and (np.random.get_state()[1] == states[1]).all()
    assert torch.equal(torch.get_rng_state(), states[2])
    again, other = mixing(images.clone(), labels, 7), mixing(images.clone(), labels, 8)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])
    assert first[1].sum(1) == pytest.approx(torch.ones(4))
    beside = Mixing.of(settings, 3, seed=0, processes=Processes(1, 2, torch.device("cpu")))
    assert not torch.equal(first[0], beside(images.clone(), labels, 7)[0])


def test_erasing_and_mixing_are_timms_each_alone_too():
    images, labels = torch.rand(4, 3, 16, 16), torch.tensor([0, 1, 2, 0])
    kept = Mixing.of(ImageSettings(), 3, seed=5, processes=ALONE)(images, labels, 7)
    assert kept[0] is images and kept[1] is labels

    settings = ImageSettings(mixup=0.5, cutmix=1.0, mix_prob=0.9)
    timms = Mixup(0.5, 1.0, prob=0.9, label_smoothing=0.0, num_classes=3)
    mixing = Mixing.of(settings, 3, seed=5, processes=ALONE)
    for step in range(6):  # some are mixed up, and some are cut
        with seeded(5, step, 0):
            expected = timms(images.clone(), labels)
        found = mixing(images.clone(), labels, step)
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))

    mixing = Mixing.of(ImageSettings(random_erasing=0.7), 3, seed=5, processes=ALONE)
    with seeded(5, 7, 0):
        erased = RandomErasing(0.7, mode="pixel", device="cpu")(images.clone())
    found = mixing(images.clone(), labels, 7)
    assert torch.equal(found[0], erased) and not torch.equal(erased, images)
    assert found[1] is labels


@pytest.mark.parametrize(
    ("settings", "changed"),
    [
        ({"hflip": 0.0}, None),
        ({"hflip": 1.0}, ImageOps.mirror),
        ({"hflip": 0.0, "vflip": 1.0}, ImageOps.flip),
        ({"hflip": 0.0, "auto_augment": "original-mstd0.5"}, ...),
        ({"hflip": 0.0, "color_jitter": 0.5}, ...),
    ],
)
def test_without_a_random_crop_everything_else_is_done(settings, changed):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    taken = Preprocessing(input_size=(3, 16, 16), mean=(0.5,) * 3, std=(0.5,) * 3)
    with seeded(1):
        found = augmented(ImageSettings(scale=[], **settings), taken)(pixels)
    plain = Image.fromarray(ToPixels(taken)(pixels))
    if changed is ...:
        assert found.shape == (16, 16, 3) and not np.array_equal(found, np.array(plain))
    else:
        assert np.array_equal(found, np.array(changed(plain) if changed else plain))


@pytest.mark.parametrize("name", ["adamw", "sgd", "adagrad", "adafactor"])
def test_one_cycle_goes_with_optimizers_that_have_no_momentum_too(name):
    recipe = replace(
        finetune_recipe("test_resnet", "x"), schedule=None, optimizer=Optimizer(name=name, lr=0.1)
    )
    optimizer = build_optimizer(timm.create_model("test_resnet", num_classes=3), recipe)
    schedule, rates = build_schedule(optimizer, recipe, 10), []
    for _ in range(9):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert max(rates) == pytest.approx(0.1, rel=0.1) and rates[0] < 0.01 > rates[-1]


def test_mixup_needs_pairs_in_each_process_but_not_in_each_part_of_a_batch():
    recipe = finetune_recipe("test_resnet", "x", mixup=1.0, batch_size=6, accumulate=2)
    prepare._check_pairs(recipe, recipe.images, ALONE)
    with pytest.raises(RecipeError, match="each of 2 processes has 3"):
        prepare._check_pairs(recipe, recipe.images, Processes(0, 2, ALONE.device))


def test_an_epoch_with_repeats_has_each_of_its_images_so_often():
    order = Order(12, 4, seed=0, repeats=3)
    epoch = torch.cat([index for _, index in order.batches(0, 3)])
    assert epoch.unique(return_counts=True)[1].tolist() == [3] * 4
    assert [e for e, _ in order.batches(1, 5)] == [0, 0, 1, 1]


def test_each_epoch_has_an_order_of_its_own_that_the_seed_decides():
    def epochs(seed, blocks=None):
        order = Order(96, 8, seed, blocks=blocks)
        return torch.stack([index for _, index in order.batches(0, 24)]).view(2, 96)

    blocks = torch.arange(96) // 2  # 48 of them, of which 16 are shuffled together
    for given in (None, blocks):
        first, again = epochs(0, given), epochs(0, given)
        assert torch.equal(first, again)
        assert all(epoch.sort().values.tolist() == list(range(96)) for epoch in first)
        assert not torch.equal(first[0], first[1])
        assert not torch.equal(first, epochs(1, given))
        # A neighbouring seed's epochs are not this one's, one later or earlier.
        assert not torch.equal(first[1], epochs(1, given)[0])
    together = blocks[epochs(0, blocks)].view(2, 3, 32)
    assert all(len(part.unique()) == 16 for epoch in together for part in epoch)


def test_activations_are_computed_twice_where_asked_and_refused_where_a_model_cannot():
    recipe = finetune_recipe("test_vit", "x", checkpointing=True)
    assert build_model(recipe, 3)[0].grad_checkpointing
    with pytest.raises(RecipeError, match="cannot compute its activations a second time"):
        build_model(replace(recipe, model="cnn2_mnist"), 10)

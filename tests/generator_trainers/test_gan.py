"""Training a GAN: what a step is, resume, alarms, refusals."""

import copy
import json
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from huggingface_hub import HfApi
from transformers import TrainerCallback

from hf_augment import DCGANConfig, DCGANDiscriminator, DCGANGenerator, GANTrainer, GANTrainingArguments
from hf_augment.generator_trainers.adversarial_pair import LOSSES, AdversarialPair
from hf_augment.generator_trainers.gan_monitor import PATIENCE, GANMonitor, in_a_row, mean_distance
from hf_augment.seeding import derive_rng, derive_seed
from tests.toys import assert_equal_weights, weights


NAMES = ["dark", "bright"]


def images(n=16, size=32, channels=1, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    noise = rng.integers(0, 80, size=(n, size, size, channels))
    return (noise + 150 * labels[:, None, None, None]).astype(np.uint8), labels


def rows(pixels, labels, names=NAMES, column="image"):
    features = datasets.Features(
        {column: datasets.Array3D(pixels.shape[1:], "uint8"), "label": datasets.ClassLabel(names=names)}
    )
    return datasets.Dataset.from_dict({column: list(pixels), "label": labels.tolist()}, features=features)


def generator(**kwargs):
    torch.manual_seed(0)
    options = {"id2label": dict(enumerate(NAMES)), "num_channels": 1, "width": 4, "latent_size": 8} | kwargs
    return DCGANGenerator(DCGANConfig(**options))


def arguments(folder, **kwargs):
    defaults = {"use_cpu": True, "report_to": "none", "save_strategy": "no", "disable_tqdm": True}
    defaults |= {"dataloader_pin_memory": False, "per_device_train_batch_size": 4, "num_train_epochs": 2}
    return GANTrainingArguments(str(folder), **(defaults | {"logging_steps": 2, "sample_steps": 0} | kwargs))


def trainer(folder, config=None, callbacks=None, data=None, features=None, unlabelled=None, **kwargs):
    return GANTrainer(
        generator(**(config or {})), arguments(folder, **kwargs), data or rows(*images()), callbacks=callbacks,
        features=features, unlabelled=unlabelled,
    )  # fmt: skip


class StopAt(TrainerCallback):
    def __init__(self, step):
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        control.should_training_stop = state.global_step >= self.step


MODERN = {"spectral_norm": True, "projection": True}
CASES = {
    "documented": ({}, {}),
    "modern": (MODERN, {"loss": "hinge", "ema_decay": 0.9, "diff_augment": ["color", "translation", "cutout"]}),
    "mismatched, mode seeking": ({}, {"mismatched_share": 0.25, "mode_seeking": 0.1}),
    "unlabelled": ({}, {"mismatched_share": 0.25, "unlabelled": rows(*images(7, seed=1)).remove_columns("label")}),
    "unlabelled, modern": (MODERN, {"loss": "hinge", "unlabelled": rows(*images(7, seed=1))}),
}


def test_the_documented_settings_are_the_defaults():
    args = GANTrainingArguments("out")
    assert (args.num_train_epochs, args.per_device_train_batch_size) == (100, 128)
    assert (args.learning_rate, args.adam_beta1, args.adam_beta2, args.weight_decay) == (2e-4, 0.5, 0.999, 0)
    assert (args.loss, args.ema_decay, args.diff_augment, args.lr_scheduler_type) == ("bce", 0.0, [], "constant")


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("at", [3, 6])
def test_interrupted_is_uninterrupted(tmp_path, case, at):
    """In the middle of the first and of the second epoch: both networks, both optimizers, the average, the log."""
    config, options = CASES[case]
    options = options | {"save_strategy": "steps", "save_steps": at, "num_train_epochs": 3}
    whole = trainer(tmp_path / "whole", config, **options)
    whole.train()
    trainer(tmp_path / "cut", config, callbacks=[StopAt(at)], **options).train()
    torch.rand(5)
    resumed = trainer(tmp_path / "cut", config, **options)
    resumed.train(resume_from_checkpoint=True)
    assert resumed.state.global_step == whole.state.global_step == 12
    assert_equal_weights(weights(resumed.pair), weights(whole.pair))
    assert_equal_weights(weights(resumed.generator), weights(whole.generator))
    states = [t.optimizer.state_dict()["state"] for t in (resumed, whole)]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(a[k], states[1][i][k]) for i, a in states[0].items() for k in a)

    def stable(t):
        return [
            {k: v for k, v in log.items() if "runtime" not in k and "per_second" not in k}
            for log in t.state.log_history
            if "loss" in log and log["step"] > at + 2
        ]

    assert stable(resumed) == stable(whole)


@pytest.mark.parametrize("case", CASES)
def test_a_step_against_a_naive_one(tmp_path, case):
    """Two optimizers, the discriminator first, as in a loop written by hand."""
    config, options = CASES[case]
    made = trainer(tmp_path, config, max_steps=2, **(options | {"diff_augment": []}))
    pair = copy.deepcopy(made.pair)
    batches = []
    collate = made.data_collator
    made.data_collator = lambda batch: batches.append(batch) or collate(batch)
    made.train()
    pair.train()
    optimizers = [
        torch.optim.Adam(module.parameters(), 2e-4, betas=(0.5, 0.999))
        for module in (pair.discriminator, pair.generator)
    ]
    real_loss, fake_loss, wanted = LOSSES[made.args.loss]
    for step, batch in enumerate(batches[:2]):
        rng = torch.Generator().manual_seed(derive_seed(made.args.seed, "gan", step, 0))
        labels, pixels = batch["labels"], [batch["images"]]
        drawn, told = labels, labels
        if options.get("unlabelled") is not None:  # As many without labels, beside generated ones of the same classes.
            chosen = derive_rng(made.args.seed, "unlabelled", step, 0).integers(7, size=4)
            pixels.append(torch.from_numpy(images(7, seed=1)[0][chosen]))
            drawn, told = torch.cat([labels, labels]), torch.cat([labels, torch.full((4,), -1)])
        n = len(told)
        both = torch.cat(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1
        real = both[:4]
        fake = pair.generator(torch.randn(n, 8, generator=rng), drawn).detach()
        accepted, refused = real_loss(pair.discriminator(both, told)), fake_loss(pair.discriminator(fake, told))
        if made.args.mismatched_share:  # Of two classes, the other one.
            torch.randint(1, 2, (4,), generator=rng)
            refused = 0.75 * refused + 0.25 * fake_loss(pair.discriminator(real, 1 - labels))
        loss = accepted + refused
        optimizers[0].zero_grad()
        loss.backward()
        optimizers[0].step()
        latents = torch.randn(n, 8, generator=rng)
        fake = pair.generator(latents, drawn)
        optimizers[1].zero_grad()
        loss = wanted(pair.discriminator(fake, told))
        if made.args.mode_seeking:
            other = torch.randn(n, 8, generator=rng)
            pixels = (fake - pair.generator(other, drawn)).abs().flatten(1).mean(dim=1)
            loss = loss + 0.1 * ((latents - other).abs().mean(dim=1) / (pixels + 1e-5)).mean()
        loss.backward()
        optimizers[1].step()
    for part in ("generator", "discriminator"):
        theirs = weights(getattr(made.pair, part))
        for name, tensor in weights(getattr(pair, part)).items():
            torch.testing.assert_close(theirs[name], tensor, rtol=1e-5, atol=1e-7)


def test_training_changes_both_and_hands_the_average_over(tmp_path):
    made = trainer(tmp_path, ema_decay=0.5)
    before = weights(made.pair)
    made.train()
    for part in ("generator.head.weight", "discriminator.head.weight", "average.head.weight"):
        assert not torch.equal(before[part], weights(made.pair)[part])
    assert_equal_weights(weights(made.generator), weights(made.pair.average))
    assert not torch.equal(made.pair.average.head.weight, made.pair.generator.head.weight)
    assert not made.generator.training
    plain = trainer(tmp_path)
    plain.train()
    assert_equal_weights(weights(plain.generator), weights(plain.pair.generator))


def test_the_average_against_a_naive_one():
    pair = AdversarialPair(generator(), DCGANDiscriminator(generator().config), "bce", (), 0.0, 0.0)
    naive = pair.average.head.weight.clone()
    for step in range(1, 30):
        pair.generator.head.weight.data += 1
        pair.generator.norms[0].norm.num_batches_tracked += 1
        pair.update_average(0.8, step)
        decay = min(0.8, (1 + step) / (10 + step))
        naive = decay * naive + (1 - decay) * pair.generator.head.weight.data
    torch.testing.assert_close(pair.average.head.weight, naive)
    assert pair.average.norms[0].norm.num_batches_tracked == 29


def test_training_draws_nothing_from_the_global_random_state(tmp_path):
    results = []
    for noise in (0, 3):
        made = trainer(tmp_path / str(noise), diff_augment=["translation"], sample_steps=2, seed=1)
        training_step = made.training_step

        def noisy(*args, training_step=training_step, noise=noise, **kwargs):
            torch.rand(noise)
            return training_step(*args, **kwargs)

        made.training_step = noisy
        made.train()
        results.append(weights(made.pair))
    assert_equal_weights(*results)


def test_bf16_trains(tmp_path):
    made = trainer(tmp_path, bf16=True, max_steps=2)
    made.train()
    assert made.generator.head.weight.dtype == torch.float32
    assert all(torch.isfinite(tensor).all() for tensor in weights(made.pair).values())


def test_samples_and_diversity_are_measured_and_logged(tmp_path):
    made = trainer(tmp_path, sample_steps=3, max_steps=7)
    made.train()
    grids = sorted(path.name for path in (tmp_path / "samples").iterdir())
    assert grids == ["step-000003.png", "step-000006.png", "step-000007.png"]
    logged = [log for log in made.state.log_history if "diversity" in log]
    assert [log["step"] for log in logged] == [3, 6, 7]
    assert logged[-1]["min_diversity"] <= logged[-1]["diversity"]
    losses = [log for log in made.state.log_history if "loss" in log]
    assert all(0 <= log["discriminator_accuracy"] <= 1 and log["discriminator_loss"] > 0 for log in losses)


def test_diversity_is_1_for_the_real_images_and_0_for_a_collapsed_class():
    pixels, labels = images(n=40)

    class Copies(DCGANGenerator):
        def generate(self, wanted, seed):
            chosen = [np.flatnonzero(labels == label)[i % 20 if label else 0] for i, label in enumerate(wanted)]
            return [{"image": pixels[row]} for row in chosen]

    monitor = GANMonitor(pixels, labels, "image", None, seed=0, per_class=20)
    dark, bright = monitor.diversity(Copies(generator().config))
    assert dark == 0
    assert bright == pytest.approx(1)


def test_the_mean_distance_against_a_naive_one():
    points = np.random.default_rng(0).normal(size=(5, 3))
    naive = np.mean([np.linalg.norm(a - b) for i, a in enumerate(points) for j, b in enumerate(points) if i != j])
    assert mean_distance(points) == pytest.approx(naive)
    assert mean_distance(points[:1]) == 0


def test_an_alarm_needs_several_measurements_in_a_row():
    logs = [{"x": 1.0}] * (PATIENCE - 1)
    assert not in_a_row(logs, "x", lambda x: x > 0)
    assert in_a_row([*logs, {"y": 0.0}, {"x": 2.0}], "x", lambda x: x > 0)
    assert not in_a_row([*logs, {"x": 0.0}], "x", lambda x: x > 0)


@pytest.mark.parametrize("stop", [False, True])
def test_a_collapsed_generator_raises_the_alarm_and_ends_the_run_if_asked_to(tmp_path, stop):
    # Features that see no difference between generated images, and the real one's.
    made = trainer(
        tmp_path,
        features=lambda examples: np.array([[e["image"].std() > 24, i] for i, e in enumerate(examples)]) * [[1, 0]],
        sample_steps=1,
        max_steps=6,
        stop_on_alarm=stop,
    )
    made.monitor.real = [1.0, 1.0]
    made.train()
    alarms = [log["step"] for log in made.state.log_history if "alarm_collapse" in log]
    assert alarms[0] == PATIENCE
    assert made.state.global_step == (PATIENCE if stop else 6)


def test_a_discriminator_that_has_won_raises_the_alarm(tmp_path):
    made = trainer(tmp_path, logging_steps=1, max_steps=8, max_discriminator_accuracy=0.01)
    made.train()
    assert next(log["step"] for log in made.state.log_history if "alarm_discriminator_won" in log) == PATIENCE


class Repo:
    repo_id = "user/gan"


@pytest.fixture
def hub(monkeypatch):
    calls = []
    monkeypatch.setattr(
        HfApi, "create_repo", lambda self, repo_id, **kwargs: calls.append((repo_id, kwargs)) or Repo()
    )
    monkeypatch.setattr(HfApi, "upload_folder", lambda self, **kwargs: calls.append(kwargs))
    return calls


def test_push_to_hub_takes_named_files_only(tmp_path, hub):
    made = trainer(tmp_path, max_steps=1, sample_steps=1, hub_model_id="user/gan", hub_private_repo=True)
    made.train()
    (tmp_path / ".env").write_text("secret")
    made.push_to_hub()
    assert hub[0] == ("user/gan", {"private": True, "exist_ok": True})
    folder, patterns = hub[1]["folder_path"], hub[1]["allow_patterns"]
    sent = sorted(str(path.relative_to(folder)) for pattern in patterns for path in Path(folder).glob(pattern))
    assert sent == ["config.json", "dcgan.py", "model.safetensors", "samples/step-000001.png"]
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "dcgan"


def test_every_save_pushes_the_generator_and_nothing_else(tmp_path, hub, monkeypatch):
    monkeypatch.setattr(GANTrainer, "init_hf_repo", lambda self, token=None: None)
    options = {"push_to_hub": True, "hub_model_id": "user/gan", "save_strategy": "steps", "save_steps": 2}
    trainer(tmp_path, max_steps=4, **options).train()
    messages = [call["commit_message"] for call in hub if isinstance(call, dict)]
    assert messages == ["Training in progress, step 2", "Training in progress, step 4"]
    assert all("*" not in "".join(call["allow_patterns"][:3]) for call in hub if isinstance(call, dict))


def test_save_model_saves_the_generator(tmp_path):
    made = trainer(tmp_path, max_steps=1, ema_decay=0.5)
    made.train()
    made.save_model(str(tmp_path / "model"))
    assert DCGANGenerator.from_pretrained(tmp_path / "model").fingerprint() == made.generator.fingerprint()
    assert not list((tmp_path / "model").glob("*.bin"))


def test_measuring_at_the_step_of_a_log_swallows_no_log(tmp_path):
    made = trainer(tmp_path, logging_steps=2, sample_steps=2, max_steps=6)
    made.train()
    for figure in ("loss", "discriminator_accuracy", "diversity"):
        assert [log["step"] for log in made.state.log_history if figure in log] == [2, 4, 6]


def other(**kwargs):
    return rows(*images(**kwargs))


pixels, labels = images()
REFUSALS = {
    "another size": (
        {"data": other(size=28)},
        "images of train_dataset are 28×28, the generator's image_size is 32: resize or pad",
    ),
    "another size without labels": ({"unlabelled": other(size=28)}, "images of unlabelled are 28×28"),
    "no images without labels": ({"unlabelled": other().select([])}, "unlabelled has no images: leave it out"),
    "another mode": ({"data": other(channels=3)}, r"Row 0 is 32×32 RGB, but num_channels=1"),
    "other labels": ({"data": rows(pixels, labels, ["a", "b"])}, r"labels are \['a', 'b'\], the generator's"),
    "a class missing": ({"data": rows(pixels, labels * 0)}, r"no image of \['bright'\]"),
    "labels out of range": (
        {"data": rows(pixels, labels).cast_column("label", datasets.Value("int64")).map(
            lambda row: {"label": row["label"] + 1})},
        r"Row 1 has the label 2, which is not the number of one of the classes \['dark', 'bright'\]",
    ),
    "labels that are texts": (
        {"data": rows(pixels, labels).cast_column("label", datasets.Value("string"))},
        r"Row 0 has the label '0', which is not .*by `dataset.class_encode_column\('label'\)`",
    ),
    "another column": ({"data": rows(pixels, labels, column="img")}, "image_column='image' is not a column"),
    "no label column": ({"data": rows(pixels, labels).remove_columns("label")}, "label_column='label' is not"),
    "batch of one": ({"per_device_train_batch_size": 1}, "per_device_train_batch_size=1 must be 2 or more"),
    "fewer than a batch": ({"per_device_train_batch_size": 32}, "16 images, fewer than the 32 of a batch"),
    "accumulation": ({"gradient_accumulation_steps": 2}, "gradient_accumulation_steps=2 must be 1"),
    "loss": ({"loss": "wgan"}, "loss='wgan' must be one of"),
    "policy": ({"diff_augment": ["blur"]}, r"diff_augment=\['blur'\] must be some of"),
    "decay": ({"ema_decay": 1.0}, r"ema_decay=1.0 must be in \[0, 1\)"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS)
def test_what_cannot_work_is_refused_at_construction(tmp_path, case):
    options, message = REFUSALS[case]
    with pytest.raises(ValueError, match=message):
        trainer(tmp_path, **options)


def test_images_on_the_device_are_the_same_images(tmp_path):
    first, second = (trainer(tmp_path / str(i), data_on_device=bool(i)) for i in range(2))
    first.train()
    second.train()
    assert_equal_weights(weights(first.pair), weights(second.pair))
    assert second.args.dataloader_pin_memory is False


def test_replays_only_where_they_are_the_same_arithmetic(tmp_path):
    with pytest.raises(ValueError, match="cuda_graph=True must be False: the rate changes"):
        arguments(tmp_path, cuda_graph=True, lr_scheduler_type="linear")
    with pytest.raises(ValueError, match="data_on_device=True must be False with workers"):
        arguments(tmp_path, data_on_device=True, dataloader_num_workers=1)
    # Without CUDA, a step runs as it is.
    plain, asked = (trainer(tmp_path / str(i), cuda_graph=bool(i)) for i in range(2))
    plain.train()
    asked.train()
    assert_equal_weights(weights(plain.pair), weights(asked.pair))

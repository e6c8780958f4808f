"""Training: resuming is exact, failures are clear, settings are honoured."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import vcviz
from vcviz import InputError, Split
from vcviz.base.errors import TrainingError
from vcviz.latents import extract_latents
from vcviz.metrics.calibration import negative_log_likelihood
from vcviz.training.loop import Trainer
from vcviz.training.schedules import augmented, schedule

QUICK = {"dataset": "digits", "epochs": 4, "n_train": 120, "progress": False, "probe_size": 30}


def weights(run: vcviz.Run) -> bytes:
    return (run.path / "weights.safetensors").read_bytes()


def test_learns_digits_and_keeps_what_the_explorers_need(tmp_path: Path) -> None:
    run = vcviz.train(
        dataset="digits",
        head="softmax",
        latent_dim=8,
        epochs=15,
        batch_size=50,
        out=tmp_path,
        progress=False,
    )
    assert run.metrics["accuracy"] > 0.9
    assert run.epochs == list(range(16))
    first, last = run.latents("test", 0), run.latents("test", 15)
    assert np.array_equal(first.index, last.index)
    assert last.accuracy > first.accuracy + 0.4
    assert len(run.latents("test")) == run.metrics["n_test"] == len(run.split("test"))
    losses = [row["train/cross_entropy"] for row in run.history]
    assert losses[-1] < losses[0] / 3
    assert [row["epoch"] for row in run.history] == list(range(1, 16))


@pytest.mark.parametrize(
    "settings",
    [
        {"head": "softmax"},
        {"head": "gaussian_mixture"},
        {"head": "variational", "stochastic": False},
        {"head": "variational"},
    ],
    ids=["softmax", "gaussian_mixture", "variational of a point", "variational"],
)
def test_stored_latents_are_what_the_loaded_model_gives(tmp_path: Path, settings: dict) -> None:
    run = vcviz.train(**settings, out=tmp_path, **QUICK)
    stored, model, law = run.latents("test"), run.model(), run.prior()
    again = vcviz.extract_latents(model, run.split("test"), progress=False)
    np.testing.assert_allclose(again.z, stored.z, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(again.log_probs, stored.log_probs, rtol=1e-4, atol=1e-4)
    # The law the run reports must give the classifier's own posterior back: that of the latents
    # where they are points, and elsewhere its mean over q(z|x), as well as so many draws know it.
    if not run.config.stochastic:
        posterior = law.log_posterior(stored.z)
        np.testing.assert_allclose(posterior, stored.log_probs, rtol=1e-3, atol=2e-3)
        return
    with torch.no_grad():
        q = model.posterior(torch.as_tensor(run.split("test").x.copy()))
        z = q.draw(400, torch.Generator().manual_seed(1)).numpy()
    p = np.exp(law.log_posterior(z)).reshape(400, *stored.log_probs.shape)
    error = (np.exp(stored.log_probs) - p.mean(0)) ** 2
    expected = p.var(0, ddof=1) * (1 / run.config.predict_draws + 1 / 400)
    assert error.mean() == pytest.approx(expected.mean(), rel=0.15)


@pytest.mark.parametrize("width", [1, 2, 3, 5])
def test_an_own_encoder_of_the_wrong_width_is_told_what_a_stochastic_one_gives(width) -> None:
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, width))
    with pytest.raises(InputError, match=rf"\(B, 4\) numbers.*gave \(B, {width}\).*stochastic=F"):
        vcviz.train(head="variational", latent_dim=2, encoder=encoder, **QUICK)
    if width == 3:
        with pytest.raises(InputError, match=r"should give \(B, 2\) latents, gave \(2, 3\)"):
            vcviz.train(head="softmax", latent_dim=2, encoder=encoder, **QUICK)


def test_same_settings_give_the_same_run_and_train_once(tmp_path: Path) -> None:
    a = vcviz.train(head="variational", out=tmp_path / "a", **QUICK)
    b = vcviz.train(head="variational", out=tmp_path / "b", **QUICK)
    assert weights(a) == weights(b)
    assert a.history == b.history
    before = (a.path / "weights.safetensors").stat().st_mtime_ns
    again = vcviz.train(head="variational", out=tmp_path / "a", **QUICK)
    assert (again.path / "weights.safetensors").stat().st_mtime_ns == before
    assert weights(vcviz.train(head="variational", out=tmp_path, **QUICK | {"seed": 1})) != weights(
        a
    )


def test_training_leaves_the_callers_random_state_alone(tmp_path: Path) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    vcviz.train(out=tmp_path, **QUICK)
    assert torch.equal(before, torch.get_rng_state())


KILLED = """
import vcviz, sys
vcviz.train(head="variational", dataset="digits", epochs=12, n_train=200, probe_size=20,
            precision="float32", out=sys.argv[1], checkpoint_every=0, progress=False,
            encoder_options={"dropout": 0.2}, optimizer=sys.argv[2])
"""


@pytest.mark.parametrize(("optimizer", "kill_after"), [("adam", 3), ("sgd", 7)])
def test_killed_run_resumes_bit_identically(
    tmp_path: Path, optimizer: str, kill_after: int
) -> None:
    """SIGKILL after some epochs, then resume: the same weights and history, byte for byte."""
    settings = {
        "head": "variational",
        "dataset": "digits",
        "epochs": 12,
        "n_train": 200,
        "probe_size": 20,
        "encoder_options": {"dropout": 0.2},
        "optimizer": optimizer,
        "progress": False,
    }
    whole = vcviz.train(out=tmp_path / "whole", **settings)
    out = tmp_path / "killed"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(out), optimizer])
    deadline = time.monotonic() + 120
    while not list(out.glob(f".*.partial/latents/probe-{kill_after:05d}.safetensors")):
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert vcviz.list_runs(out) == []
    checkpoint = next(out.glob(".*.partial/checkpoint/state.safetensors"))
    assert checkpoint.stat().st_size > 0

    resumed = vcviz.train(out=out, **settings)
    assert weights(resumed) == weights(whole)
    assert resumed.history == whole.history
    assert resumed.epochs == whole.epochs
    for epoch in resumed.epochs:
        name = f"latents/probe-{epoch:05d}.safetensors"
        assert (resumed.path / name).read_bytes() == (whole.path / name).read_bytes()
    assert not (resumed.path / "checkpoint").exists()


def test_non_finite_loss_names_the_term_and_the_step(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"train/\w+ became .* at step \d+ of \d+ in epoch \d+"):
        vcviz.train(head="softmax", lr=1e30, optimizer="sgd", batch_size=20, out=tmp_path, **QUICK)
    with pytest.raises(TrainingError, match=r"the model broke down in epoch 1: .*NaN.*lower lr="):
        vcviz.train(head="softmax", lr=1e30, optimizer="sgd", out=tmp_path, **QUICK)
    assert list(tmp_path.iterdir()) == []


def test_other_settings_under_the_same_name_are_refused(tmp_path: Path) -> None:
    run = vcviz.train(out=tmp_path, name="mine", **QUICK)
    before = weights(run)
    with pytest.raises(InputError, match=r"other settings \(lr 0.002 → 0.1\).*another name"):
        vcviz.train(out=tmp_path, name="mine", lr=0.1, **QUICK)
    assert weights(run) == before


def test_own_splits_and_own_encoder(tmp_path: Path, rng: np.random.Generator) -> None:
    y = rng.integers(0, 3, 90)
    x = (rng.normal(size=(90, 4)) + 3 * np.eye(4)[y]).astype(np.float32)
    splits = (
        Split(x[:60], y[:60], ("a", "b", "c"), "mine"),
        Split(x[60:], y[60:], ("a", "b", "c")),
    )
    encoder = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    run = vcviz.train(
        splits=splits, encoder=encoder, epochs=40, batch_size=10, out=tmp_path, progress=False
    )
    assert run.metrics["accuracy"] > 0.7
    with pytest.raises(InputError, match="pass encoder="):
        run.model()
    fresh = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    model = run.model(encoder=fresh)
    assert (
        vcviz.extract_latents(model, splits[1], progress=False).accuracy == run.metrics["accuracy"]
    )
    with pytest.raises(InputError, match="passed in memory"):
        run.splits()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"head": "sofmax"}, "unknown head 'sofmax'; did you mean 'softmax'"),
        ({"dataset": "digit"}, "unknown dataset 'digit'.*digits"),
        ({"head_options": {"marginn": 1}}, "unknown option of head"),
        ({"encoder": "resnet21"}, "unknown encoder 'resnet21'"),
        ({"device": "cuda:99"}, "device 'cuda:99' is not available"),
        ({"schedule_options": {"gama": 1}}, "no option 'gama'"),
        ({"name": "../escape"}, "a run's name may hold"),
        ({"n_train": 3}, "3"),
        ({"validation": 0.999}, "validation|fraction|rows"),
        ({"lr": float("inf")}, "lr should be a finite number"),
    ],
)
def test_bad_settings_leave_nothing_behind(tmp_path: Path, settings: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        vcviz.train(out=tmp_path / "runs", **QUICK | settings)
    assert not list(tmp_path.glob("**/*.safetensors"))
    assert not [p for p in tmp_path.glob("runs/*") if p.is_dir()]


def table(folder: Path, rows: int, seed: int = 0) -> str:
    rng = np.random.default_rng(seed)
    y = np.arange(rows) % 3
    lines = [
        f"{a:.4f},{b:.4f},{k}" for (a, b), k in zip(rng.normal(size=(rows, 2)), y, strict=True)
    ]
    (folder / "data.csv").write_text("\n".join(["a,b,label", *lines]))
    return f"path:{folder / 'data.csv'}"


def test_changed_data_are_noticed(tmp_path: Path) -> None:
    settings = {"dataset": table(tmp_path, 60), "epochs": 1, "progress": False}
    run = vcviz.train(out=tmp_path / "runs", **settings)
    assert vcviz.train(out=tmp_path / "runs", **settings).history == run.history
    table(tmp_path, 45)
    message = r"the train rows of .* have changed since .*: 40 rows \(.*became 30 .*another name="
    with pytest.raises(InputError, match=message):
        vcviz.train(out=tmp_path / "runs", **settings)
    with pytest.raises(InputError, match=message):
        run.splits()


def test_an_interrupted_run_does_not_go_on_with_other_data(tmp_path: Path, monkeypatch) -> None:
    settings = {"dataset": table(tmp_path, 60), "epochs": 3, "progress": False}
    real = Trainer.keep_probe

    def interrupted(self, epoch):
        if epoch == 2:
            raise KeyboardInterrupt
        return real(self, epoch)

    monkeypatch.setattr(Trainer, "keep_probe", interrupted)
    with pytest.raises(KeyboardInterrupt):
        vcviz.train(out=tmp_path / "runs", checkpoint_every=0, **settings)
    monkeypatch.undo()
    table(tmp_path, 60, seed=1)
    with pytest.raises(InputError, match="have changed since it was trained"):
        vcviz.train(out=tmp_path / "runs", **settings)
    table(tmp_path, 60)
    assert len(vcviz.train(out=tmp_path / "runs", **settings).history) == 3


def test_batches_of_one_row(tmp_path: Path) -> None:
    settings = QUICK | {"n_train": 12, "epochs": 1, "batch_size": 1}
    run = vcviz.train(out=tmp_path, **settings)
    assert np.isfinite(run.history[0]["train/total"])
    with pytest.raises(InputError, match="batch_size must be at least 2 for an encoder with batch"):
        vcviz.train(out=tmp_path, encoder="cnn", **settings)


def test_a_string_is_the_dataset_and_a_pair_of_splits_is_one_too(tmp_path: Path) -> None:
    settings = {k: v for k, v in QUICK.items() if k != "dataset"}
    by_name = vcviz.train("digits", out=tmp_path, **settings)
    assert by_name.config.dataset == "digits"
    pair = vcviz.load_data("digits", n_train=120)
    own = vcviz.train(dataset=pair, out=tmp_path, epochs=1, progress=False)
    assert own.config.dataset == "custom:digits train"
    with pytest.raises(InputError, match="train split must be a Split, got ndarray; build one"):
        vcviz.train(splits=(pair[0].x, pair[0].y), out=tmp_path)


def test_one_dataset_is_given_once(tmp_path: Path) -> None:
    pair = vcviz.load_data("mixture", n=20)
    for given, message in (
        ({"config": "digits", "dataset": "mixture"}, "give one dataset, got 'digits' and dataset="),
        ({"dataset": pair, "splits": pair}, "give one dataset, got splits= and dataset="),
        ({"splits": pair, "dataset": "mixture"}, "stand for the dataset; leave dataset out"),
        ({"splits": pair, "n_train": 10}, "stand for the dataset; leave n_train out"),
        ({"dataset": pair, "dataset_options": {"n": 3}}, "leave dataset_options out"),
        ({"splits": (*pair, pair[0])}, r"splits should be \(train, test\), got"),
        ({"splits": 5}, r"splits should be \(train, test\), got 5"),
    ):
        with pytest.raises(InputError, match=message):
            vcviz.train(out=tmp_path, progress=False, **given)


def test_own_encoder_of_another_width_is_refused(tmp_path: Path) -> None:
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(60, 2))
    with pytest.raises(InputError, match=r"cannot take inputs of shape \(B, 1, 8, 8\): .*mat1"):
        vcviz.train(encoder=encoder, out=tmp_path, **QUICK)


def test_one_class_is_refused(tmp_path: Path) -> None:
    split = Split(np.ones((6, 3), np.float32), np.zeros(6, int), ("a", "b"))
    with pytest.raises(InputError, match="hold 1 class, at least 2"):
        vcviz.train(splits=(split, split), epochs=1, out=tmp_path, progress=False)


def test_unwritable_folder_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(InputError, match=r"cannot write runs in .*choose another out="):
        vcviz.train(out=tmp_path / "file", **QUICK)


def test_validation_rows_are_held_out(tmp_path: Path) -> None:
    run = vcviz.train(validation=0.25, out=tmp_path, **QUICK)
    assert len(run.latents("train")) == 90
    assert "validation/accuracy" in run.history[0]
    kept, rows = run.latents("validation"), run.split("validation")
    assert len(kept) == 30
    np.testing.assert_array_equal(kept.y, rows.y)
    assert not set(kept.index) & set(run.latents("train").index)
    assert run.metrics["validation/nll"] == negative_log_likelihood(kept.log_probs, kept.y)
    again = extract_latents(run.model(), rows, progress=False)
    np.testing.assert_allclose(kept.z, again.z, atol=1e-5)


def test_a_run_without_validation_rows_says_so(tmp_path: Path) -> None:
    run = vcviz.train(out=tmp_path, **QUICK)
    with pytest.raises(InputError, match=r"kept no validation latents; train with validation=0\.2"):
        run.latents("validation")
    with pytest.raises(InputError, match="kept no validation latents of epoch 0"):
        run.latents("validation", 0)


def test_train_heads_gives_each_head_its_own_options(tmp_path: Path) -> None:
    options = {"gaussian_mixture": {"margin": 0.2}}
    runs = vcviz.train_heads(
        ["softmax", "gaussian_mixture"], head_options=options, out=tmp_path, **QUICK
    )
    assert [r.config.head_options for r in runs] == [{}, {"margin": 0.2}]
    with pytest.raises(InputError, match="not among"):
        vcviz.train_heads(["softmax"], head_options=options, out=tmp_path, **QUICK)
    with pytest.raises(InputError, match="unknown head 'vari'"):
        vcviz.train_heads(["softmax", "vari"], out=tmp_path / "none", **QUICK)
    assert not (tmp_path / "none").exists()
    with pytest.raises(InputError, match="at least one"):
        vcviz.train_heads([], **QUICK)
    assert vcviz.train_heads("softmax", out=tmp_path, **QUICK)[0].name == runs[0].name


def test_schedules_by_hand() -> None:
    assert schedule("constant", 0.9) == 1
    assert schedule("step", 0.5) == 1
    assert schedule("step", 0.7) == pytest.approx(0.2)
    assert schedule("step", 0.8, milestones=[1 / 3, 2 / 3], gamma=0.1) == pytest.approx(0.01)
    assert schedule("cosine", 0.5) == pytest.approx(0.5)
    assert schedule("cosine", 0.0, floor=0.1) == pytest.approx(1)
    assert schedule("constant", 0.05, warmup=0.1) == pytest.approx(0.5)


def test_augmentation_shifts_within_four_pixels() -> None:
    x = torch.zeros(50, 1, 9, 9)
    x[:, :, 4, 4] = 1
    out = augmented(x, "crop-flip", torch.Generator().manual_seed(0))
    assert out.shape == x.shape
    assert torch.equal(out.sum((1, 2, 3)), torch.ones(50))
    assert len({tuple(v.nonzero()[0].tolist()) for v in out[:, 0]}) > 10
    assert augmented(x, "none", torch.Generator()) is x


def test_finished_folder_holds_json_and_safetensors_only(tmp_path: Path) -> None:
    run = vcviz.train(out=tmp_path, **QUICK)
    suffixes = {p.suffix for p in run.path.rglob("*") if p.is_file()}
    assert suffixes == {".json", ".jsonl", ".safetensors"}
    assert [p.name for p in tmp_path.iterdir()] == [run.name]
    record = json.loads((run.path / "config.json").read_text())
    assert {"config", "data", "versions", "device", "commit"} <= record.keys()

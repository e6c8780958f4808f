"""Runs trained together as one program: the same results as one by one."""

from __future__ import annotations

import contextlib
import json

import numpy as np
import pytest
import torch

import vcviz
from vcviz.base.errors import InputError, TrainingError
from vcviz.runs.config import RunConfig
from vcviz.training import jobs
from vcviz.training.stacked import StackedTrainer, can_stack

SMALL = {
    "dataset": "digits",
    "n_train": 150,
    "epochs": 3,
    "batch_size": 64,
    "encoder_options": {"hidden": [16, 8]},
    "progress": False,
}


@pytest.fixture
def stacks(monkeypatch):
    """Sizes of the groups that were trained together."""
    sizes = []
    run = StackedTrainer.run

    def counted(self, *args):
        sizes.append(len(self.trainers))
        return run(self, *args)

    monkeypatch.setattr(StackedTrainer, "run", counted)
    return sizes


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"head": "pc_softmax", "validation": 0.2},
        {"head": "pc_softmax", "head_options": {"predict_prior": "train"}},
        {"optimizer": "sgd", "weight_decay": 1e-3, "schedule": "cosine", "latent_dim": 5},
        {"optimizer": "adamw", "weight_decay": 0.1, "dataset": "mixture", "n_train": None,
         "dataset_options": {"n": 300}},
    ],
    ids=["softmax", "pc", "pc, train", "sgd", "adamw"],
)  # fmt: skip
def test_together_is_one_by_one_to_float_tolerance(tmp_path, stacks, settings):
    settings = SMALL | settings
    together = vcviz.train(**settings, seeds=range(3), out=tmp_path / "together")
    assert stacks == [3]
    for seed, run in enumerate(together):
        alone = vcviz.train(**settings, seed=seed, out=tmp_path / "alone")
        assert run.name == alone.name
        assert run.config == alone.config
        assert len(run.history) == len(alone.history)
        for mine, other in zip(run.history, alone.history, strict=True):
            assert list(mine) == list(other)
            # A confidence at the edge of a bin may fall on the other side of it.
            loose = [k for k in mine if k.endswith("/ece")]
            for key in mine.keys() - loose:
                assert mine[key] == pytest.approx(other[key], rel=1e-4, abs=1e-5), key
        for epoch in (None, 0, 2):
            a, b = run.latents("test", epoch), alone.latents("test", epoch)
            np.testing.assert_allclose(a.z, b.z, rtol=1e-3, atol=1e-4)
            np.testing.assert_allclose(a.log_probs, b.log_probs, rtol=1e-3, atol=1e-4)
            np.testing.assert_array_equal(a.index, b.index)
        mine, other = run.model().state_dict(), alone.model().state_dict()
        for name in other:
            np.testing.assert_allclose(mine[name], other[name], rtol=1e-3, atol=1e-4)
        assert run.data == alone.data
        assert run.record.keys() == alone.record.keys()
    assert stacks == [3]


def test_what_is_there_is_not_trained_again(tmp_path, stacks):
    first = vcviz.train(**SMALL, seed=1, out=tmp_path)
    stamp = (first.path / "weights.safetensors").stat().st_mtime_ns
    runs = vcviz.train(**SMALL, seeds=[0, 1, 2], out=tmp_path)
    assert stacks == [2]
    assert [run.config.seed for run in runs] == [0, 1, 2]
    assert (first.path / "weights.safetensors").stat().st_mtime_ns == stamp


def test_a_group_that_was_stopped_goes_on_run_by_run(tmp_path, stacks, monkeypatch):
    whole = vcviz.train(**SMALL, seeds=[0, 1], out=tmp_path / "whole")
    epoch = StackedTrainer._epoch

    def stop(self, number):
        if number == 3:
            raise KeyboardInterrupt
        return epoch(self, number)

    monkeypatch.setattr(StackedTrainer, "_epoch", stop)
    with pytest.raises(KeyboardInterrupt):
        vcviz.train(**SMALL, seeds=[0, 1], out=tmp_path / "cut", checkpoint_every=0)
    began = []
    trainer_epoch = jobs.Trainer._epoch

    def watched(self, number):
        began.append(number)
        return trainer_epoch(self, number)

    monkeypatch.setattr(jobs.Trainer, "_epoch", watched)
    runs = vcviz.train(**SMALL, seeds=[0, 1], out=tmp_path / "cut")
    assert began == [3, 3]
    for run, other in zip(runs, whole, strict=True):
        assert len(run.history) == 3
        np.testing.assert_allclose(run.latents().z, other.latents().z, rtol=1e-3, atol=1e-4)


def test_a_run_that_breaks_down_is_named_and_others_are_kept(tmp_path, monkeypatch):
    epoch = StackedTrainer._epoch

    def broken(self, number):
        self.parameters[0].data[1] = float("nan")
        return epoch(self, number)

    monkeypatch.setattr(StackedTrainer, "_epoch", broken)
    runs = vcviz.train(**SMALL, seeds=[0, 1], out=tmp_path)
    assert all(np.isfinite(run.metrics["nll"]) for run in runs)

    with pytest.raises(TrainingError, match=r"lower lr="):
        vcviz.train(**SMALL | {"lr": 1e30}, seeds=[0, 1], out=tmp_path / "bad")


@pytest.mark.parametrize(
    ("settings", "together"),
    [
        ({}, True),
        ({"head": "pc_softmax"}, True),
        ({"head": "variational"}, False),
        ({"encoder": "cnn"}, False),
        ({"encoder_options": {"dropout": 0.1}}, False),
        ({"encoder_options": {"hidden": [256]}}, False),
        ({"stochastic": True}, False),
        ({"precision": "bfloat16"}, False),
    ],
)
def test_what_is_trained_together(settings, together):
    assert can_stack(RunConfig(**settings)) is together


def test_data_that_differ_in_size_are_trained_one_by_one(tmp_path, stacks, monkeypatch):
    monkeypatch.setattr(jobs, "fits", lambda trainers: False)
    runs = vcviz.train(**SMALL, seeds=[0, 1], out=tmp_path)
    assert stacks == []
    assert len(runs) == 2


def test_seeds_and_a_name_do_not_go_together(tmp_path):
    with pytest.raises(InputError, match="runs of several seeds have names of their own"):
        vcviz.train(**SMALL, seeds=[0, 1], name="one", out=tmp_path)


def test_a_sweep_trains_seeds_together(tmp_path, stacks):
    fixed = {k: v for k, v in SMALL.items() if k != "progress"}
    result = vcviz.sweep(
        {"head": ["softmax", "gaussian_mixture"], "seed": "0:3"},
        fixed=fixed,
        out=tmp_path,
        workers=0,
        progress=False,
    )
    assert result.ok
    assert stacks == [3]
    assert all(
        run["seconds"] > 0 for run in json.loads((tmp_path / "sweep.json").read_text())["runs"]
    )


@pytest.mark.parametrize("seeds", [3, [], "", [0.5]])
def test_seeds_are_some_integers(tmp_path, seeds):
    with pytest.raises(InputError, match=r"seeds? should be"):
        vcviz.train(seeds=seeds, n_train=100, epochs=1, out=tmp_path, progress=False)


def test_a_seed_that_comes_twice_is_trained_once(tmp_path):
    one, other, again = vcviz.train(
        seeds=[1, 0, 1], n_train=100, epochs=1, out=tmp_path, progress=False
    )
    assert (one.name, one.config.seed, other.config.seed) == (again.name, 1, 0)


def test_runs_that_another_process_finished_meanwhile_are_not_trained_again(tmp_path, monkeypatch):
    settings = {"n_train": 100, "epochs": 1, "out": tmp_path, "progress": False}
    asked = []

    @contextlib.contextmanager
    def late(job):
        if not asked:
            asked.append(job)
            vcviz.train(job.config, out=tmp_path, progress=False)
        yield

    monkeypatch.setattr(jobs, "_locked", late)
    assert [r.config.seed for r in vcviz.train(seeds=range(2), **settings)] == [0, 1]


def test_every_run_begins_with_the_own_encoder_as_it_was(tmp_path):
    encoder = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))
    before = encoder[1].weight.detach().clone()
    settings = {"n_train": 100, "epochs": 2, "progress": False, "encoder": encoder}
    runs = vcviz.train(seeds=range(2), out=tmp_path / "a", **settings)
    torch.testing.assert_close(encoder[1].weight.detach(), before, rtol=0, atol=0)
    again = vcviz.train(seeds=[1], out=tmp_path / "b", **settings)
    assert runs[1].history == again[0].history
    heads = vcviz.train_heads(["softmax", "gaussian_mixture"], out=tmp_path / "c", **settings)
    assert heads[0].config.encoder_options == heads[1].config.encoder_options

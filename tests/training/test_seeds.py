"""Runs of several seeds: each is the run that it would be alone."""

from __future__ import annotations

import pytest
import torch

import vcviz
from vcviz.base.errors import InputError

SMALL = {"dataset": "digits", "n_train": 100, "epochs": 2, "progress": False}


def test_each_run_is_that_of_its_seed_alone(tmp_path):
    settings = SMALL | {"head": "variational", "latent_dim": 3}
    runs = vcviz.train(**settings, seeds=range(2), out=tmp_path / "several")
    for seed, run in enumerate(runs):
        alone = vcviz.train(**settings, seed=seed, out=tmp_path / "alone")
        assert (run.name, run.config, run.history) == (alone.name, alone.config, alone.history)
    assert runs[0].history != runs[1].history


def test_what_is_there_is_not_trained_again(tmp_path):
    first = vcviz.train(**SMALL, seed=1, out=tmp_path)
    stamp = (first.path / "weights.safetensors").stat().st_mtime_ns
    runs = vcviz.train(**SMALL, seeds=[0, 1, 2], out=tmp_path)
    assert [run.config.seed for run in runs] == [0, 1, 2]
    assert (first.path / "weights.safetensors").stat().st_mtime_ns == stamp


def test_a_seed_that_comes_twice_is_trained_once(tmp_path):
    one, other, again = vcviz.train(**SMALL, seeds=[1, 0, 1], out=tmp_path)
    assert (one.name, one.config.seed, other.config.seed) == (again.name, 1, 0)


@pytest.mark.parametrize("seeds", [3, [], "", [0.5], [0, 0.5]])
def test_seeds_are_some_integers(tmp_path, seeds):
    with pytest.raises(InputError, match=r"seeds? should be"):
        vcviz.train(**SMALL, seeds=seeds, out=tmp_path)
    assert not list(tmp_path.iterdir())


def test_seeds_and_a_name_do_not_go_together(tmp_path):
    with pytest.raises(InputError, match="runs of several seeds have names of their own"):
        vcviz.train(**SMALL, seeds=[0, 1], name="one", out=tmp_path)


def test_every_run_begins_with_the_own_encoder_as_it_was(tmp_path):
    encoder = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))
    before = encoder[1].weight.detach().clone()
    settings = SMALL | {"encoder": encoder}
    runs = vcviz.train(seeds=range(2), out=tmp_path / "a", **settings)
    torch.testing.assert_close(encoder[1].weight.detach(), before, rtol=0, atol=0)
    again = vcviz.train(seeds=[1], out=tmp_path / "b", **settings)
    assert runs[1].history == again[0].history
    heads = vcviz.train_heads(["softmax", "gaussian_mixture"], out=tmp_path / "c", **settings)
    assert heads[0].config.encoder_options == heads[1].config.encoder_options

"""One model in two processes: the numbers of one process."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

import vcviz

SETTINGS = {"n_train": 151, "epochs": 3, "batch_size": 50, "validation": 0.1, "latent_dim": 3}


def torchrun(tmp_path, *words):
    script = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    given = [f"--set={name}={value}" for name, value in SETTINGS.items()]
    return subprocess.run(
        [*script, "-m", "vcviz", "train", *given, *words, "--out", str(tmp_path), "-q"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_two_processes_give_the_numbers_of_one(tmp_path):
    done = torchrun(tmp_path / "two", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("accuracy") == 1
    assert "find_unused_parameters" not in done.stderr
    (two,) = vcviz.list_runs(tmp_path / "two")
    one = vcviz.train(**SETTINGS, device="cpu", out=tmp_path / "one", progress=False)
    assert two.name == one.name
    assert len(two.history) == len(one.history)
    for mine, other in zip(two.history, one.history, strict=True):
        assert mine.keys() == other.keys()
        for key in mine.keys() - {k for k in mine if k.endswith("/ece")}:
            assert mine[key] == pytest.approx(other[key], rel=1e-3, abs=1e-4), key
    for split in ("train", "test", "validation"):
        a, b = two.latents(split), one.latents(split)
        np.testing.assert_array_equal(a.y, b.y)
        np.testing.assert_array_equal(a.index, b.index)
        np.testing.assert_allclose(a.z, b.z, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(a.energy, b.energy, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("head", ["variational", "dropmax", "heteroscedastic"])
def test_heads_with_critics_and_noise_train_in_two_processes(tmp_path, head):
    done = torchrun(tmp_path, "--device", "cpu", "--head", head)
    assert done.returncode == 0, done.stderr
    (run,) = vcviz.list_runs(tmp_path)
    one = vcviz.train(**SETTINGS, head=head, out=tmp_path / "one", progress=False)
    assert run.history[-1].keys() == one.history[-1].keys()
    # Noise differs between the two, so only the size of the loss can agree.
    ratio = run.history[-1]["train/total"] / one.history[-1]["train/total"]
    assert ratio == pytest.approx(1, abs=0.25)

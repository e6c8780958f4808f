"""Gates, intervals and supports of attacks; accuracy and calibration against their radius."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from fake_runs import prior, trajectory
from scipy.stats import norm
from torch import nn

import vcviz
from vcviz.attacks import ATTACKS, attack
from vcviz.attacks.curve import robustness_curve
from vcviz.base.errors import InputError
from vcviz.latents import extract_latents
from vcviz.metrics.calibration import expected_calibration_error
from vcviz.metrics.robustness import attack_gates, crossings, wilson
from vcviz.metrics.robustness.support import support_threshold
from vcviz.records import Gate, Gates, LatentPrior, RobustnessCurve, Split, Trained

N, FEATURES, C = 40, 5, 3


@pytest.fixture
def split(rng) -> Split:
    y = np.arange(N) % C
    return Split(rng.standard_normal((N, FEATURES)) + 1.5 * np.eye(C, FEATURES)[y], y)


@pytest.fixture
def model() -> nn.Module:
    """Nearest mean: robust up to half the distance between the means."""
    net = nn.Linear(FEATURES, C)
    with torch.no_grad():
        net.weight.copy_(1.5 * torch.eye(C, FEATURES))
        net.bias.zero_()
    return net


# ---------------------------------------------------------------- intervals


def test_a_wilson_interval_is_that_of_the_formula():
    # No success among n: the upper end is z^2 / (n + z^2).
    z2 = norm.ppf(0.975) ** 2
    np.testing.assert_allclose(wilson(0.0, 8), [0, z2 / (8 + z2)], atol=1e-12)
    low, high = wilson([0.25, 0.75], 20).T
    np.testing.assert_allclose(low, 1 - high[::-1])
    with pytest.raises(InputError, match="level must lie between 0 and 1"):
        wilson(0.5, 8, 95)


# ---------------------------------------------------------------- gates


def test_an_attack_that_works_passes_every_gate(model, split):
    path = attack(model, split, epsilon=0.2, steps=8, checks=9)
    assert [(p.epsilon, p.steps, len(p)) for p in path.checks] == [(0, 1, 9), (0.4, 8, 9)]
    gates = attack_gates(path)
    assert gates.passed
    assert gates.summary == "8 of 8 gates hold; not tried: stays in the input range"
    assert str(gates).count("✓") == 8
    assert "not tried" in attack_gates(replace(path, checks=())).summary


def wrong(path, name: str, *others) -> tuple[bool | None, float]:
    gate = attack_gates(replace(path, checks=others))[name]
    return gate.passed, gate.value


def test_every_gate_sees_what_it_is_there_for(model, split):
    path = attack(model, split, epsilon=0.8, steps=2)
    assert path.accuracy[-1] < path.accuracy[0] - 0.1
    far = path.distance.copy()
    far[1, 4] = 1.2
    assert wrong(replace(path, distance=far), "stays in the ball") == (False, pytest.approx(1.5))
    held = replace(path, distance=np.zeros_like(path.distance))
    assert wrong(held, "has a gradient") == (False, 1.0)
    back = replace(path, log_probs=path.log_probs[::-1])
    assert wrong(back, "raises the loss") == (False, 1.0)
    assert wrong(back, "more steps never help") == (
        False, pytest.approx(path.accuracy[0] - path.accuracy[-1])
    )  # fmt: skip
    weaker = replace(path, epsilon=1.0, log_probs=path.log_probs[::-1])
    assert wrong(path, "a larger ε never helps", weaker)[0] is False
    moved = replace(path, epsilon=0.0)
    assert wrong(path, "ε = 0 is the identity", moved)[0] is False
    assert wrong(replace(path, noise=0.2), "noise is averaged out") == (False, 0.2)
    assert wrong(replace(path, noise=0.2, draws=9), "noise is averaged out") == (False, 0.2)
    assert wrong(replace(path, noise=0.2, draws=10), "noise is averaged out") == (True, 0.2)
    twice = replace(path, log_probs=path.log_probs + 1)
    assert wrong(twice, "output is log-probabilities")[0] is False
    images = trajectory()
    bright = images.x_adv.copy()
    bright[0] = 1.5
    assert wrong(replace(images, x_adv=bright), "stays in the input range") == (False, 0.5)


def test_a_reading_of_a_stochastic_encoder_is_a_mean_over_draws(split):
    def gate(predict_draws: int, draws: int) -> tuple[bool | None, str]:
        head = vcviz.build_head("gaussian_mixture", latent_dim=2, n_classes=C)
        model = vcviz.models.Classifier(
            nn.Linear(FEATURES, 4), head, stochastic=True, predict_draws=predict_draws
        )
        path = attack(model, split, epsilon=0.2, steps=2, draws=draws)
        curve = robustness_curve(model, split, [0.2], steps=2, draws=draws, calibration=False)
        found, again = attack_gates(path)["noise is averaged out"], curve.gates
        assert again["noise is averaged out"].passed is found.passed
        return found.passed, found.text

    assert gate(16, 1) == (True, "largest change of a probability when inputs are read again; "
                                 "each gradient is a mean over 16 draws of the noise")  # fmt: skip
    assert gate(4, 3)[0] is True
    passed, text = gate(4, 2)
    assert passed is False
    assert text.endswith("a mean over 8 draws of the noise, 10 or more are needed: see draws=")


def test_gates_of_a_target_look_at_the_inputs_that_are_not_there(model, split):
    path = attack(model, split, targeted=1, epsilon=3.0, steps=20, loss="ce")
    gates = attack_gates(path)
    assert gates["has a gradient"].value == 0
    assert path.reached[-1] == 1


def test_an_unknown_gate_is_refused():
    gates = Gates((Gate("has a gradient", True, 0.0, "share"),))
    with pytest.raises(InputError, match="did you mean 'has a gradient'"):
        gates["has gradient"]


# ---------------------------------------------------------------- support


@pytest.mark.parametrize("mass", [0.5, 0.9])
def test_the_support_of_a_class_holds_its_mass(mass, rng):
    mean = np.array([[0.0, 1, 0, 2], [3, 0, 0, 0], [0, 0, 4, 0]])
    tril = np.tril(rng.standard_normal((3, 4, 4)), -1) + np.eye(4) * rng.uniform(0.5, 2, (3, 4, 1))
    laws = [
        LatentPrior(mean, scale_tril=tril),
        LatentPrior(mean, scale=rng.uniform(0.5, 2, (3, 4))),
        LatentPrior(mean, scale_tril=tril, family="student_t", df=[3, 5, 9]),
        LatentPrior(mean, scale=rng.uniform(0.5, 2, (3, 4)), family="laplace"),
        LatentPrior(mean, family="von_mises_fisher", concentration=[1.0, 5, 50]),
    ]
    for law in laws:
        edge = support_threshold(law, mass)
        for k in range(3):
            z, _ = law.sample(np.full(20_000, k), rng)
            inside = law.log_prob(z)[:, k] >= edge[k]
            assert abs(inside.mean() - mass) < 0.02, (law.family, k)


def test_crossings_are_read_off_the_path():
    path, law = trajectory(dim=2), prior()
    found = crossings(path, law)
    radius = np.sqrt(-2 * np.log(0.1))  # of a Gaussian in the plane
    length = np.linalg.norm(path.z - law.mean[path.y], axis=2)
    outside = length > radius
    np.testing.assert_array_equal(found.leaves, np.where(outside.any(0), outside.argmax(0), -1))
    np.testing.assert_array_equal(found.flips, path.first_flip)
    flat = path.z.reshape(-1, 2)
    np.testing.assert_allclose(found.log_marginal.ravel(), law.log_marginal(flat), rtol=1e-9)
    own = law.log_prob(flat).reshape(5, 9, 3)[:, np.arange(9), path.y]
    np.testing.assert_allclose(found.log_density, own)


def test_crossings_are_told_in_words():
    found = replace(
        crossings(trajectory(n=4), prior()),
        leaves=np.array([4, 0, -1, 2]),
        flips=np.array([6, -1, 3, 2]),
    )
    assert found.words(0) == "leaves the 90 % support of its class at step 4, flips at step 6"
    assert found.words(1) == "is outside the 90 % support of its class from the start, never flips"
    assert found.words(2) == "never leaves the 90 % support of its class, flips at step 3"
    assert found.summary == (
        "half leave by step 4, half flip by step 3 (of 3); of the 2 that do both, "
        "1 leave first, 1 in the same step, 0 flip first"
    )
    none = replace(found, leaves=np.zeros(4, int))
    assert "no input is read rightly and inside" in none.summary


def test_a_law_of_other_classes_is_refused():
    with pytest.raises(InputError, match="the law must have the 3 classes of the path, got 2"):
        crossings(trajectory(), LatentPrior(np.eye(2), scale=np.ones((2, 2))))


# ---------------------------------------------------------------- the curve


def exact(x: np.ndarray, y: np.ndarray, epsilon: float) -> np.ndarray:
    """Which rows of the nearest-mean model hold against every attack in the L-infinity ball."""
    own = x[np.arange(N), y]
    others = x[:, :C].copy()
    others[np.arange(N), y] = -np.inf
    return own - others.max(1) > 2 * epsilon  # one column falls by epsilon, another rises


@pytest.mark.parametrize("calibration", [True, False])
@pytest.mark.parametrize("method", ATTACKS)
def test_accuracy_is_the_known_one_of_a_linear_model(model, split, calibration, method):
    radii = [0.1, 0.5, 0.25, 1.2]
    curve = robustness_curve(
        model, split, radii, method=method, steps=20, calibration=calibration, batch_size=16
    )
    np.testing.assert_array_equal(curve.epsilon, [0, 0.1, 0.25, 0.5, 1.2])
    want = [exact(split.x, split.y, e).mean() for e in curve.epsilon]
    np.testing.assert_allclose(curve.accuracy, want, atol=1.01 / N)
    assert curve.accuracy[-1] < curve.accuracy[0]
    np.testing.assert_allclose((curve.fell_at > 0.25).mean(), curve.accuracy[2])
    np.testing.assert_allclose(curve.accuracy_interval, wilson(curve.accuracy, N))
    assert curve.gates.passed
    assert curve.gates["a larger ε never helps"].passed is (True if calibration else None)
    assert np.isfinite(curve.ece).all() == calibration


@pytest.mark.parametrize("random_start", [True, False])
@pytest.mark.parametrize("method", ATTACKS)
def test_leaving_out_what_fell_changes_no_accuracy(model, split, random_start, method):
    options = {"method": method, "steps": 6, "batch_size": 7, "random_start": random_start}
    radii = [0.2, 0.4, 0.8]
    full = robustness_curve(model, split, radii, **options)
    quick = robustness_curve(model, split, radii, calibration=False, **options)
    np.testing.assert_array_equal(full.accuracy, quick.accuracy)
    np.testing.assert_array_equal(full.fell_at, quick.fell_at)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_going_down_finds_the_same_with_fewer_passes(model, split, norm):
    rows = []
    model.register_forward_hook(lambda _m, args, _out: rows.append(len(args[0])))
    radii = [0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0]
    options = {"steps": 12, "norm": norm, "batch_size": 9}
    full = robustness_curve(model, split, radii, **options)
    several = sum(rows)
    rows.clear()
    down = robustness_curve(model, split, radii, calibration=False, descend=True, **options)
    np.testing.assert_allclose(down.accuracy, full.accuracy, atol=1.01 / N)
    np.testing.assert_allclose((down.fell_at > 0.3).mean(), down.accuracy[3])
    assert (np.diff(down.accuracy) <= 0).all()
    assert sum(rows) < 0.4 * several
    assert down.gates.passed


def test_the_curve_counts_what_any_step_found(model, split):
    radii = [0.3, 0.6]
    curve = robustness_curve(model, split, radii, steps=5)
    paths = [attack(model, split, epsilon=e, steps=5) for e in radii]
    held = np.ones(N, bool)
    for k, path in enumerate(paths):
        held &= (path.log_probs.argmax(2) == path.y).all(0)
        assert curve.accuracy[k + 1] == pytest.approx(held.mean())
        assert curve.alone[k + 1] == pytest.approx(path.accuracy[-1])


def test_clean_inputs_are_the_first_point(model, split):
    curve = robustness_curve(model, split, [0.4], steps=2)
    clean = extract_latents(model, split)
    assert curve.accuracy[0] == clean.accuracy
    assert curve.ece[0] == pytest.approx(expected_calibration_error(clean.log_probs, split.y))
    assert curve.ece[1] > curve.ece[0]
    assert curve.ece_if_calibrated[0] > 0


def test_quick_curves_read_fewer_inputs(model, split):
    rows = []
    model.register_forward_hook(lambda _m, args, _out: rows.append(len(args[0])))
    robustness_curve(model, split, [0.5, 1.0, 2.0], steps=10)
    full = sum(rows)
    rows.clear()
    robustness_curve(model, split, [0.5, 1.0, 2.0], steps=10, calibration=False)
    assert sum(rows) < 0.5 * full


def test_points_of_a_stochastic_model_are_judged_by_noise_that_chose_nothing(split):
    class Noisy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(FEATURES, C)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.fc(x) * 0 + torch.randn(len(x), C)

    # Its answers have nothing to do with its inputs: an attack that counted the luckiest of its
    # many draws would leave nothing.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        curve = robustness_curve(Noisy(), split, [0.1, 0.2], steps=10)
    assert (np.abs(curve.accuracy - 1 / 3) < 0.25).all()
    assert curve.gates["noise is averaged out"].passed is False


def test_a_run_is_attacked_as_its_model_on_its_rows_is(model, split):
    class Runlike(Trained):
        title = "mine"

        def model(self, device="cpu"):
            return model

        def split(self, name="test"):
            return {"test": split, "train": split.take(range(10))}[name]

    run, rows = Runlike(), [3, 1, 4]
    path, want = attack(run, rows=rows, steps=3), attack(model, split.take(rows), steps=3)
    np.testing.assert_array_equal(path.x_adv, want.x_adv)
    np.testing.assert_array_equal(path.index, rows)
    assert path.name == f"mine, {want.name}"
    named = attack(model, split, rows=rows, steps=3)
    np.testing.assert_array_equal(named.x_adv, want.x_adv)
    np.testing.assert_array_equal(named.index, rows)
    assert (len(attack(run, steps=1)), len(attack(run, "train", steps=1))) == (N, 10)

    options = {"epsilons": [0.4], "steps": 3}
    curve, want = robustness_curve(run, **options), robustness_curve(model, split, **options)
    np.testing.assert_array_equal(curve.accuracy, want.accuracy)
    assert (curve.name, want.name) == ("mine", split.name)
    assert robustness_curve(run, name="other", **options).name == "other"
    assert robustness_curve(run, "train", **options).fell_at.shape == (10,)
    for function in (attack, robustness_curve):
        with pytest.raises(InputError, match="one model or run is attacked at a time"):
            function([run, run])
        with pytest.raises(InputError, match="an attack needs a Split, got NoneType"):
            function(model)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epsilons": []}, "at least one radius above 0"),
        ({"epsilons": 0.1}, "epsilons must be a list of radii, got 0.1"),
        ({"epsilons": [-0.1]}, "epsilon must be a radius of 0 or more"),
        ({"epsilons": [float("nan")]}, "epsilon must be a radius of 0 or more"),
        ({"descend": True}, "it goes with calibration=False"),
        ({"calibration": "no"}, "calibration must be true or false"),
        ({"rows": 0}, "rows must be a whole number of at least 1"),
        ({"step_size": 0.1}, "unknown option of an attack 'step_size'"),
        ({"method": "cw"}, "unknown method 'cw'"),
    ],
)
def test_bad_options_are_refused(model, split, options, message):
    with pytest.raises(InputError, match=message):
        robustness_curve(model, split, **{"epsilons": [0.1]} | options)


def test_a_record_of_wrong_shape_is_refused(model, split):
    curve = robustness_curve(model, split, [0.1], steps=1)
    assert isinstance(curve, RobustnessCurve)
    with pytest.raises(InputError, match="epsilon must ascend from 0"):
        replace(curve, epsilon=np.array([0.1, 0.2]))
    with pytest.raises(InputError, match=r"ece must have shape \(2,\)"):
        replace(curve, ece=np.zeros(3))


def test_public_names():
    assert vcviz.robustness_curve is robustness_curve
    assert vcviz.metrics.attack_gates is attack_gates

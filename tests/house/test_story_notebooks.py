"""What the notebooks of calibration, attacks and single heads promise, computed as they do."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import logsumexp, softmax
from scipy.stats import spearmanr, t
from story import Claim, Given, Story, default, defaults, parametrised

import vcviz
from vcviz.data.corruptions import SEVERITIES
from vcviz.latents.retain import masked_log_probs
from vcviz.metrics.calibration import (
    apply_temperature,
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
    reliability_curve,
    smooth_calibration_error,
)
from vcviz.metrics.information import mutual_information
from vcviz.metrics.noisy_scores import draw_utilities, noisy_log_probs, relative_noise
from vcviz.metrics.robustness import crossings
from vcviz.records import Estimate, LatentPlane, LatentPrior, RetainSet, Trajectory
from vcviz.runs import Run
from vcviz.studies.compare.corruptions import ROWS, corrupted_latents


def confidence(run: Run, epoch: int | None = None) -> float:
    return float(np.exp(run.latents("test", epoch).log_probs.max(1)).mean())


# ---------------------------------------------------------------- calibration


def too_sure(story: Story, seed: int) -> None:
    runs = story.runs("calibration", seed)[:2]
    for run, curve in zip(runs, vcviz.studies.reliability_curves(runs), strict=True):
        assert confidence(run) > run.latents().accuracy + 0.02
        assert (curve.accuracy < curve.confidence)[curve.count > 0].mean() > 0.5


def lowest_ece(story: Story, seed: int) -> None:
    found = [run.metrics["ece"] for run in story.runs("calibration", seed)]
    assert np.argmin(found) == 2


def grows_with_bins(story: Story, seed: int) -> None:
    for run in story.runs("calibration", seed):
        lat = run.latents("test")
        few, many = (reliability_curve(lat.log_probs, lat.y, n_bins=n) for n in (5, 50))
        assert few.ece < many.ece
        assert few.ece_if_calibrated < many.ece_if_calibrated


def as_wide_as_its_error(story: Story, seed: int) -> None:
    for run in story.runs("calibration", seed):
        found = smooth_calibration_error(run.latents().log_probs, run.latents().y)
        assert found.bandwidth == pytest.approx(found.ece, rel=1e-6)


def softened(story: Story, seed: int) -> None:
    for run in story.runs("calibration", seed):
        plain = run.latents().log_probs
        soft = apply_temperature(plain, 2.0)
        assert (soft.max(1) < plain.max(1)).all()
        assert (soft.argmax(1) == plain.argmax(1)).all()


def minima_apart(story: Story, seed: int) -> None:
    tried = np.geomspace(0.2, 10, 41)
    for run in story.runs("calibration", seed):
        lat = run.latents()
        soft = [apply_temperature(lat.log_probs, t) for t in tried]
        nll = np.argmin([negative_log_likelihood(p, lat.y) for p in soft])
        ece = np.argmin([expected_calibration_error(p, lat.y) for p in soft])
        assert 0 < ece < nll < 40


def softened_too_far(story: Story, seed: int) -> None:
    for run in story.runs("calibration", seed):
        lat = run.latents("test")
        fit = fit_temperature(lat.log_probs, lat.y)
        assert fit.temperature > 1
        softer = apply_temperature(lat.log_probs, fit.temperature)
        there = expected_calibration_error(softer, lat.y)
        assert there > expected_calibration_error(lat.log_probs, lat.y)


def corrupted_rows_want_more(story: Story, seed: int) -> None:
    for run in story.runs("calibration", seed):
        wanted, surer = [], []
        for severity in (0, 3, 5):
            lat = corrupted_latents(run, "gaussian_noise", severity, progress=False)
            wanted.append(fit_temperature(lat.log_probs, lat.y).temperature)
            surer.append(np.exp(lat.log_probs.max(1)).mean() - lat.accuracy)
        assert wanted[0] < wanted[1] < wanted[2]
        assert surer[0] < surer[1] < surer[2]


def worse_rows(story: Story, seed: int) -> None:
    table = vcviz.studies.corruption_table(story.runs("calibration", seed), progress=False)
    means = table.groupby(["run", "severity"])[["ECE", "ECE at T clean"]].mean()
    for _, head in means.groupby("run"):
        assert (np.diff(head["ECE"]) > 0).all()
        assert (np.diff(head["ECE at T clean"]) > 0).all()


# ---------------------------------------------------------------- attacks


@lru_cache(maxsize=1)
def in_the_notebook(story: Story, seed: int) -> list[tuple[Trajectory, LatentPrior]]:
    runs = story.runs("adversarial", seed)
    return [(run.attack(200, epsilon=0.1, steps=20, progress=False), run.prior()) for run in runs]


def loss_grows(story: Story, seed: int) -> None:
    for path, _ in in_the_notebook(story, seed):
        own = path.log_probs[:, np.arange(len(path.y)), path.y].mean(1)
        assert (np.diff(own[:5]) < 0).all()


def before_or_with_the_flip(story: Story, seed: int) -> None:
    path, law = in_the_notebook(story, seed)[2]
    found = crossings(path, law)
    both = (found.leaves > 0) & (found.flips > 0)
    assert (found.leaves <= found.flips)[both].mean() > 0.7


def falls_and_flattens(story: Story, seed: int) -> None:
    for path, _ in in_the_notebook(story, seed):
        assert path.accuracy[5] < path.accuracy[0] - 0.7
        assert abs(path.accuracy[-1] - path.accuracy[10]) < 0.05


def all_below_a_tenth(story: Story, seed: int) -> None:
    assert max(path.accuracy[-1] for path, _ in in_the_notebook(story, seed)) < 0.1


# ---------------------------------------------------------------- dropmax

SOFTMAX, DROPMAX = range(2)


def dropmax(story: Story, seed: int, plane: str = "wide") -> list[Run]:
    return story.assigned("dropmax", seed)[plane]


def retained(story: Story, seed: int, plane: str = "wide") -> RetainSet:
    run = dropmax(story, seed, plane)[DROPMAX]
    return vcviz.latents.retain_set(run.model(), run.latents("test"))


def own_and_rival(found: RetainSet) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return rho of each row's own class, and the largest of the others."""
    return found.rho[found.own], np.where(found.own, 0, found.rho).max(1)


def masks_of_the_slider(story: Story, seed: int) -> tuple[NDArray[Any], NDArray[Any], int]:
    """Return masks (S, C), probabilities under each (S, C) and label of the input shown first."""
    run = dropmax(story, seed)[DROPMAX]
    explorer = vcviz.DropMaxExplorer(run)
    row = explorer.controls["sample"].value
    masks = explorer.masks(row)
    log_probs = masked_log_probs(run.model(), run.latents().z[[row]], masks)
    return masks, np.exp(log_probs[:, 0]), int(run.latents().y[row])


def wrong_without_its_class(story: Story, seed: int) -> None:
    masks, probs, label = masks_of_the_slider(story, seed)
    assert ((probs.argmax(1) != label) == ~masks[:, label]).mean() > 0.7


def less_sure_than_its_masks(story: Story, seed: int) -> None:
    _, probs, _ = masks_of_the_slider(story, seed)
    assert (probs.max(1) > probs.mean(0).max()).mean() > 0.5


def less_order_in_the_plane(story: Story, seed: int) -> None:
    shares = []
    for plane in ("flat", "wide"):
        own, rival = own_and_rival(retained(story, seed, plane))
        shares.append((own > rival).mean())
    assert 0.35 < shares[0] < 0.75
    assert shares[1] > 0.95


def a_rival_of_the_hardest(story: Story, seed: int) -> None:
    found = retained(story, seed)
    own, rival = own_and_rival(found)
    order, label = np.argsort(found.difficulty), found.latents.y
    hardest = [order[label[order] == k][-1] for k in range(found.latents.n_classes)]
    assert rival[hardest].mean() > 1.5 * np.median(rival)
    tenths = np.array_split(order, 10)
    assert own[tenths[0]].mean() > 1.2 * own[tenths[-1]].mean()
    assert rival[tenths[0]].mean() < 0.8 * rival[tenths[-1]].mean()


def divergence_and_entropy_alone(_story: Story, _seed: int) -> None:
    # Of the target: log 1/rho - H(rho). Of another class, g = 0: log 1/(1 - rho) - H(rho).
    target = brentq(lambda p: np.log(p / (1 - p)) - 1 / p, 0.5, 0.99)
    assert target == pytest.approx(0.782, abs=5e-4)
    assert 1 - target == pytest.approx(0.218, abs=5e-4)
    assert target / (1 - target) == pytest.approx(3.6, abs=0.05)


def bend(plane: LatentPlane) -> float:
    """Return how far log odds are from the nearest linear function, as a share of their range."""
    x, y = np.meshgrid(plane.x, plane.y)
    places = np.stack([np.ones(x.size), x.ravel(), y.ravel()], axis=1)
    scores = plane.log_probs.reshape(x.size, -1).astype(float)
    odds = scores[:, 1:] - scores[:, :1]
    off = odds - places @ np.linalg.lstsq(places, odds, rcond=None)[0]
    return float((np.abs(off).max(0) / np.ptp(odds, axis=0)).max())


def borders_bend(story: Story, seed: int) -> None:
    for plane in ("flat", "wide"):
        runs = dropmax(story, seed, plane)
        straight, bent = map(bend, vcviz.studies.decision_planes(runs))
        assert straight < 1e-4
        assert bent > 10 * straight


def under_confident_at_first(story: Story, seed: int) -> None:
    early = defaults("dropmax")["early_epoch"]
    off = [
        [confidence(run, epoch) - run.latents("test", epoch).accuracy for epoch in (early, None)]
        for run in dropmax(story, seed)
    ]
    assert off[DROPMAX][0] < -0.1
    assert abs(off[SOFTMAX][0]) < 0.02
    assert abs(off[DROPMAX][1]) < 0.015
    assert off[SOFTMAX][1] > 0.02


# ---------------------------------------------------------------- heteroscedastic


def undecided_within_tau(_story: Story, _seed: int) -> None:
    for gap in (0.0, 0.5, 1.0):
        assert softmax([gap, 0.0]).max() < 0.74


def limits_of_tau(_story: Story, seed: int) -> None:
    law = vcviz.records.LogitLaw(np.array([[1.0, 0.5, -2]]), scale=np.array([[1.0, 2, 0.5]]))
    dots = draw_utilities(law, 200, seed=seed)[:, 0]
    shares = np.bincount(dots.argmax(1), minlength=3) / 200
    low, high = (
        np.exp(noisy_log_probs(law, temperature=t, draws=200, seed=seed)[0]) for t in (1e-4, 1e4)
    )
    np.testing.assert_allclose(low, shares, atol=0.011)
    np.testing.assert_allclose(high, 1 / 3, atol=1e-3)


def without_a_scale(_story: Story, seed: int) -> None:
    u = np.random.default_rng(seed).normal(size=(50, 4))
    for factor in (0.1, 7.0):
        np.testing.assert_allclose(softmax(factor * u / factor, axis=1), softmax(u, axis=1))


def corners_of_the_noise(story: Story, seed: int) -> None:
    values = story.assigned("heteroscedastic", seed)
    x, laws = values["x"], values["laws"]
    k, j = laws["true noise"].leaders.T
    true, learned = (relative_noise(law, k, j) for law in laws.values())
    corners = []
    for quarter in ((-1, -1), (-1, 1), (1, -1), (1, 1)):
        here = (np.sign(x) == quarter).all(1)
        assert spearmanr(true[here], learned[here]).statistic > 0.7
        corner = here & (np.abs(x).min(1) > 1)
        assert true[corner].mean() > 1.2 * true[here & ~corner].mean()
        assert learned[corner].mean() > 1.2 * learned[here & ~corner].mean()
        corners.append((true[corner].mean(), learned[corner].mean()))
    apart = np.max(corners, axis=0) / np.min(corners, axis=0)
    assert apart[0] < 1.05
    assert apart[1] > 1.3


def valley(story: Story, seed: int) -> None:
    study = story.assigned("heteroscedastic", seed)["study"]
    mean = study[study["sweeps"]].groupby("temperature")["kl"].mean().to_numpy()
    assert 0 < mean.argmin() < len(mean) - 1
    assert mean[-1] > mean[0]


def control_lies_below(story: Story, seed: int) -> None:
    study = story.assigned("heteroscedastic", seed)["study"]
    mean = study.groupby(["sweeps", "group", "temperature"])["kl"].mean()
    (control,) = mean[False]
    assert control < mean[True].min()
    slow = mean[True].xs(1.0, level="temperature").iloc[0]
    assert slow - control > slow - mean[True].min()


def ring_around_the_disc(story: Story, seed: int) -> None:
    values = story.assigned("heteroscedastic", seed)
    pictures, noisy = values["test_pictures"], values["noisy"]
    disc, square = pictures.label_probs[:, 1], pictures.label_probs[:, 2]
    ring = (disc > 0.2) & (disc < 0.8)
    edge = np.zeros(square.shape, dtype=bool)
    for axis in (1, 2):
        edge |= np.abs(np.diff(square, axis=axis, prepend=0)) > 0.3
    assert noisy.flips[ring].mean() > 3 * noisy.flips[edge & ~ring].mean()


def no_gain_in_nll(story: Story, seed: int) -> None:
    values = story.assigned("heteroscedastic", seed)
    saved = values["saved"]
    assert saved.mean() < 1.96 * saved.std(ddof=1) / len(saved) ** 0.5
    assert values["plain"].kl(values["test_pictures"].label_probs).mean() < 0.03


# ---------------------------------------------------------------- PC-softmax


def information(story: Story, seed: int) -> dict[str, NDArray[Any]]:
    """Return for each estimate, and "truth", the information by ratio."""
    table = vcviz.studies.information_table(story.assigned("pc_softmax", seed)["runs"])
    by = table["I"].unstack("estimate")
    return {name: by[name].to_numpy() for name in by} | {
        "truth": table["true"].groupby("ratio").first().to_numpy()
    }


def imbalanced_alike(story: Story, seed: int) -> None:
    for run, ratio in zip(story.assigned("pc_softmax", seed)["runs"][::2], RATIOS, strict=True):
        for split in ("train", "test"):
            counts = np.bincount(run.split(split).y)
            assert 0.6 * ratio < counts.max() / counts.min() < 1.6 * ratio


RATIOS = defaults("pc_softmax")["ratios"]


def two_fall_with_the_truth(story: Story, seed: int) -> None:
    found = information(story, seed)
    off = found.pop("softmax + log C")
    assert (np.diff(off) > 0).all()
    for values in found.values():
        assert (np.diff(values) < 0).all()
        np.testing.assert_allclose(values, found["truth"], atol=0.03)


def off_by_a_constant(story: Story, seed: int) -> None:
    found = information(story, seed)
    for i, run in enumerate(story.assigned("pc_softmax", seed)["runs"][::2]):
        share = np.bincount(run.split("test").y) / len(run.split("test"))
        entropy = -(share * np.log(share)).sum()
        off = found["softmax + log C"][i] - found["softmax + H(Y)"][i]
        assert off == pytest.approx(np.log(len(share)) - entropy, abs=0.01)


def accuracies(run: Run, *, adjust: bool) -> NDArray[Any]:
    """Return the accuracy on each class, as for equally likely classes or as in training."""
    lat = run.latents("test")
    log_probs = lat.log_probs
    frequencies = np.bincount(run.split("train").y) / len(run.split("train"))
    if run.config.head == "softmax" and adjust:
        log_probs = log_probs - np.log(frequencies)
    if run.config.head == "pc_softmax" and not adjust:
        log_probs = log_probs + np.log(frequencies)
    right = log_probs.argmax(1) == lat.y
    return np.array([right[lat.y == k].mean() for k in range(lat.n_classes)])


def rare_classes_gain(story: Story, seed: int) -> None:
    plain, ours = story.assigned("pc_softmax", seed)["runs"][-2:]
    before = accuracies(plain, adjust=False)
    for after in (accuracies(plain, adjust=True), accuracies(ours, adjust=True)):
        assert after[0] < before[0] - 0.05
        assert (after[1:] > before[1:]).all()
    alike = accuracies(plain, adjust=True) - accuracies(ours, adjust=True)
    assert np.abs(alike).max() < 0.1


def one_classifier_again(story: Story, seed: int) -> None:
    plain, ours = story.assigned("pc_softmax", seed)["runs"][-2:]
    lat, other = plain.latents("test"), ours.latents("test")
    frequencies = np.bincount(ours.split("train").y) / len(ours.split("train"))
    scores = other.log_probs + np.log(frequencies)
    scores = scores - logsumexp(scores, axis=1, keepdims=True)
    assert (scores.argmax(1) == lat.log_probs.argmax(1)).mean() > 0.95


def ends_at_its_ceiling(story: Story, seed: int) -> None:
    run = story.assigned("pc_softmax", seed)["runs"][-2]
    lat = run.latents("test")
    share = np.bincount(lat.y) / len(lat)
    pointwise = lat.log_probs[np.arange(len(lat)), lat.y] - np.log(share)[lat.y]
    ceiling = -np.log(share)
    assert (pointwise <= ceiling[lat.y] + 1e-6).all()
    assert (np.diff(ceiling) > 0).all()


def maps_and_a_common_vector(story: Story, seed: int) -> None:
    import torch

    run = story.assigned("pc_softmax", seed)["image_run"]
    images, model = run.split("test").take(np.arange(20)), run.model()
    before = vcviz.latents.info_cam(model, images)
    with torch.no_grad():
        (weight,) = (p for n, p in model.head.named_parameters() if p.ndim == 2)
        weight += torch.randn(weight.shape[1], generator=torch.Generator().manual_seed(seed))
    after = vcviz.latents.info_cam(model, images, label=before.label)
    assert np.abs(after.cam - before.cam).max() > 0.1
    np.testing.assert_allclose(after.info, before.info, atol=1e-3)


def more_red_than_blue(story: Story, seed: int) -> None:
    maps = story.assigned("pc_softmax", seed)["maps"]
    assert (maps.info.mean((1, 2)) > 0).all()


# ---------------------------------------------------------------- scoreboard


def all_heads_get_worse(story: Story, seed: int) -> None:
    board = story.assigned("scoreboard", seed)["board"]
    for numbers in board.values[next(iter(board.tasks))].values():
        mean = {name: np.mean(values) for name, values in numbers.items()}
        steps = ["accuracy", *(f"corrupted_accuracy_{s}" for s in (1, 3, 5))]
        assert (np.diff([mean[name] for name in steps]) < 0).all()
        assert mean["ece"] < mean["corrupted_ece_3"] < mean["corrupted_ece_5"]
        attacked = [value for name, value in mean.items() if name.startswith("apgd_accuracy")]
        assert attacked
        assert max(attacked) < mean["accuracy"]


def more_draws_do_no_more(story: Story, seed: int) -> None:
    run = story.runs("adversarial", seed)[2]
    one, ten = (
        run.attack(200, epsilon=0.05, steps=20, draws=n, progress=False).accuracy[-1]
        for n in (1, 10)
    )
    assert abs(one - ten) < 0.0201


def estimate_level() -> float:
    """Return the level of an estimate's interval in percent: 0 and 2 have a standard error of 1."""
    return round(100 * (2 * t.cdf(Estimate.of([0, 2]).reach, 1) - 1), 6)


# ---------------------------------------------------------------- what is said, and where

AD, CA, DM = "adversarial", "calibration", "dropmax"
HE, PC, SB = "heteroscedastic", "pc_softmax", "scoreboard"

#: 0 of five seeds: about the run that is shown
CLAIMS = (
    Claim(AD, "the classifier's loss grows", loss_grows),
    Claim(AD, "most digits leave the support of their class before the label flips or, the steps "
          "being large, in the same step", before_or_with_the_flip),
    Claim(AD, "**Look for** curves that fall and then flatten", falls_and_flattens),
    Claim(AD, "fewer than one digit in ten is still read rightly", all_below_a_tenth),
    Claim(CA, "softmax and the mixture, whose encoders give a point, are too sure: most of their "
          "bars end below the diagonal", too_sure),
    Claim(CA, "its ECE is the lowest of the three", lowest_ece),
    Claim(CA, "It grows: fewer predictions in a bin leave more noise in it", grows_with_bins),
    Claim(CA, "The ECE of a calibrated classifier grows along with it", grows_with_bins),
    Claim(CA, "is as wide as the error that it finds", as_wide_as_its_error),
    Claim(CA, "Dividing the logits by T above 1 softens every prediction and leaves the order of "
          "the classes alone: confidences fall, accuracy stays", softened),
    Claim(CA, "NLL and ECE each have a minimum along T, and not the same one", minima_apart),
    Claim(CA, "the T of least NLL softens all the others too far: in these runs the ECE at the "
          "mark | is above the one at T = 1 for all three heads", softened_too_far, 0),
    Claim(CA, "Accuracy falls faster than confidence, so the ECE grows", corrupted_rows_want_more),
    Claim(CA, "corrupted rows want a higher one", corrupted_rows_want_more),
    Claim(CA, "the ECE that is left grows with every severity", worse_rows, 0),
    Claim(DM, "at 0.782 for the target and 0.218 for the others (dotted), odds of 3.6 to 1: what "
          "tells the classes apart beyond that", divergence_and_entropy_alone, 0),
    Claim(HE, "**Look for** the grey strips in the cloud of draws: within $\\tau$ of a tie the "
          "softmax is undecided", undecided_within_tau, 0),
    Claim(HE, "the strips vanish: the probabilities become the shares of dots of each colour, an "
          "estimate of the exact limit", limits_of_tau, 0),
    Claim(HE, "every class becomes equally likely", limits_of_tau, 0),
    Claim(HE, "multiplying mean, noise and $\\tau$ by one number changes nothing",
          without_a_scale, 0),
)  # fmt: skip

#: of runs that take longer, at the notebooks' own seed
SLOW_CLAIMS = (
    Claim("docs/attacks.md", "ten times as many changed the accuracy under attack by at most 0.02",
          more_draws_do_no_more, 0),
    Claim(DM, "Mostly on those that drop its own class", wrong_without_its_class),
    Claim(DM, "**Look for** the mean of all masks: it is less sure than most of them",
          less_sure_than_its_masks),
    Claim(DM, "**Expect** less order", less_order_in_the_plane),
    Claim(DM, "nearly every input has its largest $\\rho$ at its own class, here only half or so",
          less_order_in_the_plane),
    Claim(DM, "Harder inputs retain a rival", a_rival_of_the_hardest),
    Claim(DM, "**Look for** the last rows of each class in the heat map, its hardest inputs: a "
          "second class lights up", a_rival_of_the_hardest),
    Claim(DM, "from the easiest to the hardest tenth, $\\rho$ of the own class falls and that of "
          "the strongest rival rises", a_rival_of_the_hardest),
    Claim(DM, "**Look for** the borders: those of a softmax layer are straight, those of DropMax "
          "bend", borders_bend),
    Claim(DM, "**Expect** DropMax's accuracy far above its confidence early in training, while "
          "softmax is nearly calibrated", under_confident_at_first),
    Claim(DM, "In the end DropMax is nearly calibrated, and softmax too sure",
          under_confident_at_first),
    Claim(HE, "**Expect**, in each quarter of both maps, noise that grows from a dark edge to a "
          "light corner", corners_of_the_noise),
    Claim(HE, "How light a corner gets is learned less well: in truth all four are alike",
          corners_of_the_noise),
    Claim(HE, "**Expect** a valley", valley),
    Claim(HE, "**Look at the control:** $\\tau = 1$, trained four times as long, lies below the "
          "whole valley", control_lies_below),
    Claim(HE, "What tuning $\\tau$ gained here was speed", control_lies_below),
    Claim(HE, "**Look for** the ring around the disc, where the noise often changes which class "
          "wins, and hardly any of it around the square", ring_around_the_disc),
    Claim(HE, "**Expect** no gain in NLL: the softmax finds probabilities as good by itself",
          no_gain_in_nll),
    Claim(PC, "in training and test alike", imbalanced_alike),
    Claim(PC, "The truth and two estimates fall together, because less about the label is unknown",
          two_fall_with_the_truth),
    Claim(PC, 'Only "softmax + log C" rises', two_fall_with_the_truth),
    Claim(PC, "is off by $\\log C - H(Y)$", off_by_a_constant),
    Claim(PC, "Predicting for equally likely classes (0), PC-softmax and the post-hoc adjustment "
          "gain on the rare ones and pay on the frequent one, alike", rare_classes_gain),
    Claim(PC, "Predicting for the training frequencies (1), all three say nearly the same again",
          one_classifier_again),
    Claim(PC, "ends at its ceiling $-\\log p(y)$: a rare label, once recognised, tells more",
          ends_at_its_ceiling),
    Claim(PC, "a vector added to all $w_y$ changes it and no prediction",
          maps_and_a_common_vector),
    Claim(PC, "**Expect** more red than blue", more_red_than_blue),
    Claim(SB, "**Expect** all heads to get worse in both", all_heads_get_worse),
)  # fmt: skip

GIVEN = (
    Given(AD, "32", "setting", lambda: vcviz.RunConfig.model_fields["predict_draws"].default),
    Given(AD, "If a curve does not fall at all", "instruction"),
    Given(AD, "A ball holds every smaller one, so an input that is misread at a smaller radius "
          "counts as misread at a larger", "definition"),
    Given(AD, "that of the worst points found", "definition"),
    Given(CA, "confidence 0.8, four in five are right", "definition"),
    Given(CA, "95 %", "setting", lambda: 100 * default(reliability_curve, "level")),
    Given(CA, "begins at 0, nothing speaks against calibration", "definition"),
    Given(CA, "the diagram at T = 1", "definition"),
    Given(CA, "2,000", "setting", lambda: ROWS),
    Given(CA, "five severities", "setting", lambda: SEVERITIES),
    Given(CA, "stay at the temperature of least NLL", "definition"),
    Given(DM, "it always retains the target", "definition"),
    Given(DM, "first with two latent", "setting", lambda: defaults(DM)["latent_dim"]),
    Given(DM, "then with sixteen", "setting", lambda: defaults(DM)["wide_dim"]),
    Given(DM, "along the two principal components if $D > 2$", "definition"),
    Given(DM, "with two latent dimensions, all in", "setting", lambda: defaults(DM)["latent_dim"]),
    Given(DM, "each of ten classes", "setting", lambda: 10),
    Given(DM, "With sixteen dimensions", "setting", lambda: defaults(DM)["wide_dim"]),
    Given(DM, "predicts by the largest $o_k", "definition"),
    Given(DM, "With more than two dimensions this is the plane of the two largest principal "
          "components", "definition"),
    Given(HE, "the class of largest utility", "definition"),
    Given(HE, "(never the logits)", "definition"),
    Given(HE, "$\\tau = 1$, $V = 0$", "cited"),
    Given(HE, "Four classes pull in four directions", "definition"),
    Given(HE, "With $S = 1$ the bars are one draw", "definition"),
    Given(HE, "by two pixels", "setting", lambda: default(vcviz.data.load_shapes, "vague")),
    Given(HE, "± 1.96 standard errors", "definition"),
    Given(PC, "a lower bound on the mutual information $I(X;Y)$", "mathematics"),
    Given(PC, "is Bayes' rule where every class is equally likely", "mathematics"),
    Given(PC, "Two classifiers", "setting", lambda: len(defaults(PC)["heads"])),
    Given(PC, "Two labels' information at the same $x$", "mathematics"),
    Given(PC, "95 %", "setting", lambda: 100 * default(mutual_information, "level")),
    Given(PC, "predicting for equally likely classes in the others", "definition"),
    Given(SB, "**A gain** is how much better a head is than another one", "definition"),
    Given(SB, "the 95 %", "setting", estimate_level),
    Given(SB, "interval of its gain lies above its margin, *did not hold* if the interval lies "
          "below", "definition"),
    Given(SB, "its gain beyond the margin, in half-widths of the interval", "definition"),
    Given(SB, "Right of 1 it held, left of −1 it did not", "definition"),
    Given(SB, "the mean has its 95 %", "setting", estimate_level),
    Given(SB, "which way is better", "definition"),
)  # fmt: skip


@parametrised(CLAIMS)
def test_what_is_said_is_so(claim: Claim, story: Story) -> None:
    claim.holds(story, 0)


@parametrised(SLOW_CLAIMS)
def test_what_takes_longer_is_still_said(claim: Claim) -> None:
    claim.check_text()


@pytest.mark.slow
@parametrised(SLOW_CLAIMS)
def test_what_takes_longer_is_so(claim: Claim, story: Story) -> None:
    claim.holds(story, 0)


@pytest.mark.slow
@parametrised([claim for claim in CLAIMS if claim.least])
def test_it_is_so_of_heads_in_general(claim: Claim, story: Story) -> None:
    claim.check_seeds(story)

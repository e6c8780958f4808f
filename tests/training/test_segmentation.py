"""Pixels: the shapes' true label law, records, training and noise maps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import norm

from vcviz.base.errors import InputError
from vcviz.data import load_shapes
from vcviz.records import PixelSplit, Segmentation
from vcviz.training.segmentation import PixelEncoder, segment, train_segmenter


@pytest.fixture(scope="module")
def shapes():
    return load_shapes(n_train=12, n_test=5, size=20)


@pytest.fixture(scope="module")
def model(shapes):
    return train_segmenter(shapes[0], epochs=2, width=6, latent_dim=3, head_options={"draws": 3})


# ---------------------------------------------------------------- data


def test_labels_follow_their_true_distribution():
    many, _ = load_shapes(n_train=1500, n_test=1, size=16, vague=3.0, sharp=0.5)
    hit = many.y[:, None] == np.arange(3)[:, None, None]
    probs = many.label_probs
    np.testing.assert_allclose(probs.sum(1), 1)
    for k in range(3):
        for low in (0.0, 0.2, 0.4, 0.6, 0.8):
            inside = (probs[:, k] >= low) & (probs[:, k] < low + 0.2)
            assert hit[:, k][inside].mean() == pytest.approx(probs[:, k][inside].mean(), abs=0.03)


def test_discs_are_vague_and_squares_sharp():
    train, _ = load_shapes(n_train=40, n_test=1, vague=2.0, sharp=0.1, grain=0.0)
    undecided = (train.label_probs > 0.1) & (train.label_probs < 0.9)
    assert undecided[:, 1].sum() > 8 * undecided[:, 2].sum()
    # Without grain the grey value says which shape is really there, and so does the probability.
    clear = train.label_probs.max(1) > 0.99
    for k, light in enumerate((0.2, 0.75, 0.5)):
        assert (train.x[:, 0][clear & (train.label_probs[:, k] > 0.99)] == np.float32(light)).all()


def test_an_outline_moves_as_a_whole(shapes):
    # One offset an outline: the labelled disc is a disc again.
    train, _ = load_shapes(n_train=30, n_test=1, size=24, vague=1.5)
    rows, columns = np.mgrid[:24, :24]
    for y in train.y[:10]:
        disc = y == 1
        if not disc.any():
            continue
        distance = np.hypot(rows - rows[disc].mean(), columns - columns[disc].mean())
        assert distance[disc].max() < distance[~disc].min() + 1.5


def test_seeds_repeat_and_options_are_checked():
    first, again = load_shapes(n_train=3, n_test=2), load_shapes(n_train=3, n_test=2)
    np.testing.assert_array_equal(first[0].x, again[0].x)
    np.testing.assert_array_equal(first[1].y, again[1].y)
    with pytest.raises(InputError, match="size must be a whole number of at least 16"):
        load_shapes(size=8)
    with pytest.raises(InputError, match="vague must be a number above 0"):
        load_shapes(vague=0)
    with pytest.raises(InputError, match=r"grain must lie in \[0, 1\], got 2"):
        load_shapes(grain=2)


# ---------------------------------------------------------------- records


def test_scores_of_a_segmentation_by_hand():
    probs = np.array([[[[0.5, 0.2]], [[0.5, 0.8]]]])
    seen = Segmentation(np.log(probs))
    y = np.array([[[1, 0]]])
    np.testing.assert_allclose(seen.nll(y), -np.log([[[0.5, 0.2]]]))
    assert seen.accuracy([[[0, 1]]]) == 1
    np.testing.assert_allclose(seen.kl(probs), 0, atol=1e-12)
    truth = np.array([[[[1.0, 0.5]], [[0.0, 0.5]]]])
    by_hand = [[[np.log(2), 0.5 * np.log(0.5 / 0.2) + 0.5 * np.log(0.5 / 0.8)]]]
    np.testing.assert_allclose(seen.kl(truth), by_hand)
    with pytest.raises(InputError, match=r"y must have shape \(1, 1, 2\), one label per pixel"):
        seen.nll(np.zeros((1, 2, 1), int))
    with pytest.raises(InputError, match="label_probs must have shape"):
        seen.kl(probs[:, :1])


def test_pixel_splits_are_checked():
    x, y = np.zeros((2, 1, 3, 4)), np.zeros((2, 3, 4), int)
    with pytest.raises(InputError, match=r"y must be labels from 0 of shape \(2, 3, 4\), got"):
        PixelSplit(x, y[:, :2])
    with pytest.raises(InputError, match="does not fit 1 classes; at least 2"):
        PixelSplit(x, y)
    with pytest.raises(InputError, match="labels go up to 5"):
        PixelSplit(x, y + 5, class_names=("a", "b"))
    with pytest.raises(InputError, match=r"label_probs must have shape \(2, 2, 3, 4\)"):
        PixelSplit(x, y, class_names=("a", "b"), label_probs=np.ones((2, 2, 4, 3)) / 2)


# ---------------------------------------------------------------- training


def test_latents_are_maps_of_the_image(generator):
    encoder = PixelEncoder(1, 3, width=4)
    with torch.no_grad():  # no unit is switched off
        for weights in encoder.parameters():
            weights.abs_()
    x = torch.rand(2, 1, 17, 19, generator=generator, requires_grad=True)
    z = encoder(x)
    assert z.shape == (2, 3, 17, 19)
    z[0, :, 8, 9].sum().backward()
    seen = x.grad[0, 0].abs() > 0
    assert seen[1:16, 2:17].any(1).all()
    assert not seen[0].any()
    assert not x.grad[1].any()


def test_a_seed_repeats_training_and_prediction(shapes, model):
    train, test = shapes
    options = {"epochs": 2, "width": 6, "latent_dim": 3, "head_options": {"draws": 3}}
    again = segment(train_segmenter(train, **options), test, seed=4)
    first = segment(model, test, seed=4)
    np.testing.assert_array_equal(first.log_probs, again.log_probs)
    np.testing.assert_array_equal(first.noise, again.noise)
    assert first.log_probs.shape == (5, 3, 20, 20)
    np.testing.assert_allclose(np.exp(first.log_probs).sum(1), 1, rtol=1e-5)
    other = segment(train_segmenter(train, seed=1, **options), test, seed=4)
    assert not np.array_equal(first.log_probs, other.log_probs)


def test_noise_is_the_contrast_of_the_two_leading_classes(shapes, model):
    _, test = shapes
    seen = segment(model, test)
    with torch.no_grad():
        mean, _, scale = model.head.logit_law(model.encode(torch.tensor(test.x)))
    order = np.argsort(-mean.numpy(), axis=1)[:, :2]
    gap = -np.diff(np.take_along_axis(mean.numpy(), order, axis=1), axis=1)[:, 0]
    std = np.linalg.norm(np.take_along_axis(scale.numpy(), order, axis=1), axis=1)
    np.testing.assert_allclose(seen.noise, std, rtol=1e-5)
    np.testing.assert_allclose(seen.flips, norm.cdf(-gap / std), rtol=1e-4)
    halved = segment(model, test, temperature=2.0, draws=300)
    np.testing.assert_allclose(halved.noise, seen.noise / 2, rtol=1e-5)
    np.testing.assert_allclose(halved.flips, seen.flips, rtol=1e-5)


def test_training_brings_it_near_the_truth(shapes):
    train, test = shapes
    flat = Segmentation(np.full(test.label_probs.shape, -np.log(3)))
    for head in ("softmax", "heteroscedastic"):
        options = {"draws": 5} if head == "heteroscedastic" else {}
        more = {"epochs": 80, "batch_size": 3}
        fitted = train_segmenter(train, head=head, head_options=options, **more)
        seen = segment(fitted, test)
        gap, start = (s.kl(test.label_probs).mean() for s in (seen, flat))
        assert gap < 0.3 * start
        assert (seen.noise is None) == (head == "softmax")


def test_what_does_not_fit_is_refused(shapes, image_split):
    with pytest.raises(InputError, match="'variational' takes rows, not maps; use softmax or h"):
        train_segmenter(shapes[0], head="variational")
    with pytest.raises(InputError, match="unknown head 'softmx'"):
        train_segmenter(shapes[0], head="softmx")
    with pytest.raises(InputError, match="split must be a PixelSplit, got Split"):
        train_segmenter(image_split)
    for option in ({"width": 0}, {"latent_dim": 2.5}):
        with pytest.raises(InputError, match="must be a whole number of at least 1"):
            train_segmenter(shapes[0], **option)
    with pytest.raises(InputError, match="model must be a Classifier"):
        segment(torch.nn.Flatten(), shapes[1])
    plain = train_segmenter(shapes[0], head="softmax", epochs=1)
    with pytest.raises(InputError, match="of the head 'heteroscedastic' only"):
        segment(plain, shapes[1], temperature=0.5)

"""Corruptions: identities at their ends, what each does, and that more is further."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import ndimage

import vcviz
from vcviz.base.errors import InputError
from vcviz.data.corruptions import SEVERITIES, corruptions_of
from vcviz.explorers.subject import Subject
from vcviz.records import Split
from vcviz.studies.compare.corruptions import corruptions_for

IMAGES, TABLES, TEXTS = (corruptions_of(kind) for kind in ("image", "table", "text"))


def images(shape=(1, 8, 8), n=12, dtype=np.float32) -> Split:
    """Smooth random images that fill [0, 1], as photographs do."""
    rng = np.random.default_rng(0)
    x = ndimage.gaussian_filter(rng.standard_normal((n, *shape)), (0, 0, 1.5, 1.5))
    low, high = x.min((1, 2, 3), keepdims=True), x.max((1, 2, 3), keepdims=True)
    x = (x - low) / (high - low)
    return Split((255 * x if dtype == np.uint8 else x).astype(dtype), np.arange(n) % 3)


def table(n=400) -> Split:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, 4)) * [1, 10, 0.1, 0] + [0, 5, 0, 2]
    return Split(x, np.arange(n) % 3)


def text(n=40) -> Split:
    rng = np.random.default_rng(0)
    x = rng.integers(1, 50, (n, 30))
    x[:, 25:] = 0
    x[0, 1:] = 0
    return Split(x.astype(np.int32), np.arange(n) % 3, texts=["a"] * n)


def splits(kind: str) -> list[Split]:
    data = vcviz.data.CORRUPTIONS[kind].data
    if data == "image":
        return [images(), images((3, 32, 32)), images((1, 9, 13)), images((1, 28, 28), 6, np.uint8)]
    return [table()] if data == "table" else [text()]


def distance(split: Split, other: Split) -> float:
    if split.kind == "text":
        changed = [set(a.tolist()) ^ set(b.tolist()) for a, b in zip(split.x, other.x, strict=True)]
        return float(sum(map(len, changed)))
    scale = np.where(split.x.std(0) > 0, split.x.std(0), 1) if split.kind == "table" else 1.0
    return float(np.linalg.norm((split.x.astype(float) - other.x) / scale))


@pytest.mark.parametrize("kind", vcviz.data.CORRUPTIONS)
def test_a_higher_severity_is_further_from_the_clean_input(kind):
    for split in splits(kind):
        far = [distance(split, vcviz.data.corrupt(split, kind, s)) for s in range(SEVERITIES + 1)]
        assert far[0] == 0
        assert all(a < b for a, b in itertools.pairwise(far)), far


@pytest.mark.parametrize("kind", vcviz.data.CORRUPTIONS)
def test_shape_range_and_labels_stay_and_the_seed_decides(kind):
    for split in splits(kind):
        one, again, other = (vcviz.data.corrupt(split, kind, 5, seed=s) for s in (1, 1, 2))
        np.testing.assert_array_equal(one.x, again.x)
        drawn = kind not in ("gaussian_blur", "brightness", "contrast", "pixelate")
        assert np.array_equal(one.x, other.x) != drawn
        assert (one.x.shape, one.x.dtype, one.kind) == (split.x.shape, split.x.dtype, split.kind)
        np.testing.assert_array_equal(one.y, split.y)
        np.testing.assert_array_equal(one.index, split.index)
        assert one.texts is None
        assert one.name == f"data, {kind.replace('_', ' ')} 5"
        assert vcviz.data.corrupt(split, kind, 0) is split


@pytest.mark.parametrize("kind", IMAGES)
def test_bytes_and_fractions_are_corrupted_alike(kind):
    whole = images(dtype=np.uint8)
    split = Split(whole.x.astype(np.float32) / 255, whole.y)
    found = vcviz.data.corrupt(whole, kind, 3).x / 255
    np.testing.assert_allclose(found, vcviz.data.corrupt(split, kind, 3).x, atol=0.51 / 255)


def test_noise_has_the_stated_strength():
    grey = Split(np.full((200, 1, 8, 8), 0.5, np.float32), np.arange(200) % 3)
    assert vcviz.data.corrupt(grey, "gaussian_noise", 1).x.std() == pytest.approx(0.08, rel=0.02)
    assert vcviz.data.corrupt(grey, "shot_noise", 1).x.var() == pytest.approx(0.5 / 60, rel=0.04)
    struck = vcviz.data.corrupt(grey, "impulse_noise", 5).x
    assert [(struck == v).mean() for v in (0, 1)] == pytest.approx([0.135] * 2, abs=0.01)
    assert set(np.unique(struck)) == {0, 0.5, 1}
    rows = table(4000)
    noise = (vcviz.data.corrupt(rows, "feature_noise", 3).x - rows.x).std(0)
    np.testing.assert_allclose(noise, 0.4 * rows.x.std(0), rtol=0.05)


def test_light_and_contrast_by_hand():
    split = images((2, 8, 9))
    np.testing.assert_allclose(
        vcviz.data.corrupt(split, "brightness", 2).x, np.minimum(split.x + 0.2, 1), atol=1e-6
    )
    flat = vcviz.data.corrupt(split, "contrast", 5).x
    mean = split.x.mean((2, 3), keepdims=True)
    np.testing.assert_allclose(flat, mean + 0.05 * (split.x - mean), atol=1e-6)


def test_pixels_are_means_of_blocks():
    split = images((1, 8, 8))
    found = vcviz.data.corrupt(split, "pixelate", 5).x  # two blocks a side
    wanted = split.x.reshape(-1, 1, 2, 4, 2, 4).mean((3, 5)).repeat(4, 2).repeat(4, 3)
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_a_blur_keeps_the_mean_inside_and_a_flat_image_as_it_is():
    flat = Split(np.full((3, 1, 8, 8), 0.3, np.float32), [0, 1, 2])
    for kind in ("gaussian_blur", "pixelate", "rotation"):
        np.testing.assert_allclose(vcviz.data.corrupt(flat, kind, 5).x, 0.3, atol=1e-6)


def test_a_turn_is_a_turn():
    square = np.zeros((1, 1, 31, 31), np.float32)
    square[..., 5:9, 14:17] = 1  # a mark above the middle
    turned = vcviz.data.corrupt(Split(square, [0], ["a", "b"]), "rotation", 5).x[0, 0]
    at = np.array(ndimage.center_of_mass(turned)) - 15
    start = np.array(ndimage.center_of_mass(square[0, 0])) - 15
    angle = np.degrees(np.arccos(at @ start / np.linalg.norm(at) / np.linalg.norm(start)))
    assert angle == pytest.approx(30, abs=1)


def test_missing_values_are_medians():
    split = table()
    x = vcviz.data.corrupt(split, "missing_features", 4).x
    changed = x != split.x
    assert changed[:, :3].mean() == pytest.approx(0.5, abs=0.05)
    median = np.broadcast_to(np.median(split.x, axis=0), x.shape)
    np.testing.assert_array_equal(x[changed], median[changed])


def test_words_are_left_out_or_exchanged_and_never_all_of_a_text():
    split = text()
    for kind in TEXTS:
        x = vcviz.data.corrupt(split, kind, 5).x
        assert ((x > 0).sum(1) >= 1).all()
        ends = (x > 0).sum(1)  # words first, padding after
        assert all((row[:end] > 0).all() for row, end in zip(x, ends, strict=True))
    left = vcviz.data.corrupt(split, "token_dropout", 5).x
    for row, clean in zip(left, split.x, strict=True):
        assert set(row[row > 0]) <= set(clean)
    assert (left[1:] > 0).sum() / (split.x[1:] > 0).sum() == pytest.approx(0.3, abs=0.05)
    swapped = vcviz.data.corrupt(split, "token_swap", 3).x
    assert set(np.unique(swapped)) <= set(np.unique(split.x))
    assert ((swapped > 0) == (split.x > 0)).all()


def test_a_text_without_words_stays_so():
    empty = Split(np.zeros((3, 4), np.int32), [0, 1, 2])
    for kind in TEXTS:
        assert not vcviz.data.corrupt(empty, kind, 5).x.any()


@pytest.mark.parametrize(
    ("kind", "severity", "message"),
    [
        ("gaussian_nois", 1, "unknown corruption 'gaussian_nois'; did you mean 'gaussian_noise'"),
        ("token_swap", 1, "'token_swap' corrupts text rows, 'data' is image; choose one of gauss"),
        ("contrast", 6, r"severity must be 0 \(clean\) to 5, got 6"),
        ("contrast", 1.5, "severity must be a whole number"),
    ],
)
def test_what_does_not_fit_is_said(kind, severity, message):
    with pytest.raises(InputError, match=message):
        vcviz.data.corrupt(images(), kind, severity)
    with pytest.raises(InputError, match="split must be"):
        vcviz.data.corrupt(images().x, "contrast", 1)


# ---------------------------------------------------------------- of a run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs")
    return vcviz.train("digits", n_train=300, epochs=40, lr=0.01, out=out, progress=False)


def test_severity_zero_is_what_the_run_kept(run):
    found = vcviz.studies.corrupted_latents(run, "rotation", 0, rows=70)
    np.testing.assert_allclose(found.z, run.latents("test").z[:70], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found.index, np.arange(70))
    assert vcviz.studies.corrupted_latents(run, "contrast", 0, rows=70) is found


def test_corrupted_latents_are_those_of_corrupted_rows_and_kept(run):
    found = vcviz.studies.corrupted_latents(run, "gaussian_noise", 4, rows=50, seed=3)
    rows = run.split("test").take(np.arange(50))
    worse = vcviz.data.corrupt(rows, "gaussian_noise", 4, seed=3)
    wanted = vcviz.extract_latents(run.model(), worse)
    np.testing.assert_array_equal(found.log_probs, wanted.log_probs)
    assert vcviz.studies.corrupted_latents(run, "gaussian_noise", 4, rows=50, seed=3) is found
    assert vcviz.studies.corrupted_latents(run, "gaussian_noise", 4, rows=50, seed=4) is not found


def test_a_table_of_severities(run):
    table = vcviz.studies.corruption_table(run, ["contrast", "rotation"], rows=300)
    assert list(table.columns) == [
        "run", "corruption", "severity", "rows", "accuracy", "ECE", "NLL", "T clean",
        "ECE at T clean", "NLL at T clean",
    ]  # fmt: skip
    assert list(table.severity) == [*range(6)] * 2
    assert table["T clean"].nunique() == 1
    worst = table[table.severity == 5]
    assert (worst.accuracy < table.accuracy[0]).all()
    lat = vcviz.studies.corrupted_latents(run, "rotation", 5, rows=300)
    assert worst.ECE.iloc[1] == vcviz.expected_calibration_error(lat.log_probs, lat.y)
    assert set(vcviz.studies.corruption_table([run], rows=20).corruption) == set(IMAGES)


def test_latents_alone_cannot_be_corrupted():
    lat = vcviz.LatentSet(np.zeros((3, 2)), np.log(np.full((3, 2), 0.5)), [0, 1, 0])
    assert corruptions_for(Subject(lat, None, None)) == []
    with pytest.raises(InputError, match="need a run with its model and data, got LatentSet"):
        vcviz.studies.corrupted_latents(lat, "contrast", 1)

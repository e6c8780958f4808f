"""Inputs made worse step by step: five severities of common corruptions of images, tables, text.

After the ImageNet-C of Hendrycks & Dietterich (2019), but not its code: every corruption is written
anew for images of any size, and tables and text have their own. Strengths without a length
(noise, photons, contrast, brightness, pixels left) are ImageNet-C's or near them; lengths grow with
the square root of the image's shorter side, which meets CIFAR-10-C at 32 pixels and ImageNet-C at
224. Numbers measured with them are not ImageNet-C numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from vcviz.base.arguments import takes_records
from vcviz.base.errors import InputError, clip
from vcviz.base.options import check_choice, check_count
from vcviz.records import Split

Floats = NDArray[np.float32]

#: severities beside 0, which is clean
SEVERITIES = 5


@dataclass(frozen=True)
class Corruption:
    """One way to make inputs worse.

    Attributes
    ----------
    data : "image", "table" or "text"
    levels : its strength at severities 1 to 5
    strength : what the levels are, and their unit
    """

    data: str
    levels: tuple[float, ...]
    strength: str
    apply: Callable[[NDArray[Any], float, np.random.Generator], NDArray[Any]]


@takes_records
def corrupt(split: Split, kind: str, severity: int, *, seed: int = 0) -> Split:
    """Return the rows of a split, corrupted; their labels stay.

    Parameters
    ----------
    split : images, a table or text
    kind : one of `CORRUPTIONS`, which says what each does and how strong it is
    severity : 0 (clean: the split itself) to 5
    seed : of the noise; with the same seed a higher severity moves the same values further

    Returns
    -------
    Split
        Of the same shape, dtype and range. Facts about the clean inputs (`label_probs`, `texts`,
        `truth`) are left out.

    Raises
    ------
    InputError
        If the kind is unknown or made for other data, or the severity is not 0 to 5.

    References
    ----------
    Hendrycks & Dietterich, Benchmarking Neural Network Robustness to Common Corruptions and
    Perturbations, ICLR 2019, arXiv 1903.12261.

    Examples
    --------
    >>> _, test = vcviz.load_data("digits")
    >>> noisy = vcviz.data.corrupt(test, "gaussian_noise", severity=3)
    >>> noisy.x.shape == test.x.shape, noisy.x.dtype
    (True, dtype('uint8'))
    >>> bool(np.abs(noisy.x.astype(int) - test.x).mean() > 10)
    True
    """
    found = CORRUPTIONS[check_choice("corruption", kind, CORRUPTIONS)]
    if found.data != split.kind:
        raise InputError(
            f"{kind!r} corrupts {found.data} rows, {split.name!r} is {split.kind}; "
            f"choose one of {', '.join(corruptions_of(split.kind))}"
        )
    if check_count("severity", severity, minimum=0) > SEVERITIES:
        raise InputError(f"severity must be 0 (clean) to {SEVERITIES}, got {clip(severity)}")
    rng = np.random.default_rng(check_count("seed", seed, minimum=0))
    if severity == 0:
        return split
    x = found.apply(split.floats, found.levels[severity - 1], rng)
    if split.kind == "image":
        x = np.clip(x, 0, 1)
        x = np.rint(255 * x).astype(np.uint8) if split.x.dtype == np.uint8 else x
    return replace(
        split,
        x=x.astype(split.x.dtype, copy=False),
        name=f"{split.name}, {kind.replace('_', ' ')} {severity}",
        label_probs=None,
        texts=None,
        truth={},
    )


def corruptions_of(data: str) -> list[str]:
    """Return the names of the corruptions of a kind of data: "image", "table" or "text"."""
    return [name for name, found in CORRUPTIONS.items() if found.data == data]


# ---------------------------------------------------------------- images, (N, c, h, w) in [0, 1]


def _gaussian_noise(x: Floats, level: float, rng: np.random.Generator) -> Floats:
    return x + level * rng.standard_normal(x.shape, dtype=np.float32)


def _shot_noise(x: Floats, level: float, rng: np.random.Generator) -> Floats:
    return (rng.poisson(x * level) / level).astype(np.float32)


def _impulse_noise(x: Floats, level: float, rng: np.random.Generator) -> Floats:
    drawn = rng.random(x.shape, dtype=np.float32)
    return np.where(drawn < level / 2, 0, np.where(drawn > 1 - level / 2, 1, x))


def _gaussian_blur(x: Floats, level: float, rng: np.random.Generator) -> Floats:
    width = level * np.sqrt(min(x.shape[2:]))
    return ndimage.gaussian_filter(x, (0, 0, width, width), mode="nearest")


def _brightness(x: Floats, level: float, rng: np.random.Generator) -> Floats:
    return x + np.float32(level)


def _contrast(x: Floats, level: float, rng: np.random.Generator) -> Floats:
    mean = x.mean((2, 3), keepdims=True)
    return mean + np.float32(level) * (x - mean)


def _pixelate(x: Floats, level: float, rng: np.random.Generator) -> Floats:
    rows, columns = (_blocks(size, max(1, round(level * size))) for size in x.shape[2:])
    return np.einsum("ih,nchw,jw->ncij", rows, x, columns, optimize=True)


def _rotation(x: Floats, level: float, rng: np.random.Generator) -> Floats:
    left = rng.random(len(x)) < 0.5
    turned = np.empty_like(x)
    for rows, degrees in ((left, level), (~left, -level)):
        turned[rows] = ndimage.rotate(
            x[rows], degrees, axes=(3, 2), reshape=False, order=1, mode="nearest"
        )
    return turned


def _blocks(size: int, kept: int) -> Floats:
    """Return the (size, size) matrix that averages `size` pixels in `kept` equal blocks."""
    edges = np.linspace(0, size, kept + 1)
    pixel = np.arange(size)
    ends = np.minimum(edges[1:, None], pixel + 1)
    overlap = np.maximum(ends - np.maximum(edges[:-1, None], pixel), 0) * kept / size
    return overlap[np.minimum((pixel + 0.5) * kept // size, kept - 1).astype(int)].astype("f4")


# ---------------------------------------------------------------- tables (N, F), text (N, L)


def _feature_noise(x: Floats, level: float, rng: np.random.Generator) -> Floats:
    spread = x.std(0, dtype=np.float64).astype(x.dtype)
    return x + level * spread * rng.standard_normal(x.shape, dtype=np.float32)


def _missing_features(x: Floats, level: float, rng: np.random.Generator) -> Floats:
    return np.where(rng.random(x.shape) < level, np.median(x, axis=0), x)


def _token_dropout(x: NDArray[Any], level: float, rng: np.random.Generator) -> NDArray[Any]:
    luck = np.where(x > 0, rng.random(x.shape), -1)
    kept = (luck >= level) | (luck == luck.max(1, keepdims=True))  # one word always stays
    words = np.where(kept, x, 0)
    order = np.argsort(words == 0, axis=1, kind="stable")  # padding goes to the end
    return np.take_along_axis(words, order, axis=1)


def _token_swap(x: NDArray[Any], level: float, rng: np.random.Generator) -> NDArray[Any]:
    chosen = rng.random(x.shape) < level
    words = x[x > 0]
    other = rng.choice(words if len(words) else np.zeros(1, x.dtype), x.shape)
    return np.where(chosen & (x > 0), other, x)


_SHARES = (0.1, 0.2, 0.3, 0.5, 0.7)

#: name -> what it is made for, its strength at each severity, and what that strength is
CORRUPTIONS: MappingProxyType[str, Corruption] = MappingProxyType(
    {
        "gaussian_noise": Corruption(
            "image", (0.08, 0.12, 0.18, 0.26, 0.38),
            "standard deviation of the noise added to every value, in units of the range [0, 1]",
            _gaussian_noise,
        ),
        "shot_noise": Corruption(
            "image", (60, 25, 12, 5, 3), "photons at full brightness; fewer are noisier",
            _shot_noise,
        ),
        "impulse_noise": Corruption(
            "image", (0.03, 0.06, 0.09, 0.17, 0.27),
            "share of values set to 0 or to 1, half of it each", _impulse_noise,
        ),
        "gaussian_blur": Corruption(
            "image", (0.1, 0.15, 0.2, 0.3, 0.4),
            "standard deviation in pixels, divided by the square root of the shorter side",
            _gaussian_blur,
        ),
        "brightness": Corruption(
            "image", (0.1, 0.2, 0.3, 0.4, 0.5), "added to every value", _brightness
        ),
        "contrast": Corruption(
            "image", (0.4, 0.3, 0.2, 0.1, 0.05),
            "factor on the difference from the image's mean, by channel", _contrast,
        ),
        "pixelate": Corruption(
            "image", (0.75, 0.6, 0.5, 0.35, 0.25), "share of the pixels left along each side",
            _pixelate,
        ),
        "rotation": Corruption(
            "image", (5, 10, 15, 22, 30), "degrees, to the left or to the right by chance",
            _rotation,
        ),
        "feature_noise": Corruption(
            "table", (0.1, 0.2, 0.4, 0.7, 1.0),
            "standard deviation of the noise, in units of the spread of the feature in these rows",
            _feature_noise,
        ),
        "missing_features": Corruption(
            "table", _SHARES, "share of values replaced by the median of the feature",
            _missing_features,
        ),
        "token_dropout": Corruption(
            "text", _SHARES, "share of words left out, of every text all but one at most",
            _token_dropout,
        ),
        "token_swap": Corruption(
            "text", _SHARES, "share of words exchanged for words drawn from these texts",
            _token_swap,
        ),
    }
)  # fmt: skip

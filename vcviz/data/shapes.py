"""Pictures of shapes whose outlines were drawn by unsteady hands: noisy labels of known law."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from vcviz.base.errors import InputError
from vcviz.base.options import check_count, check_number
from vcviz.records import PixelSplit

CLASSES = ("background", "disc", "square")
_LIGHT = (0.2, 0.75, 0.5)


def load_shapes(
    *,
    n_train: int = 200,
    n_test: int = 50,
    size: int = 32,
    vague: float = 2.0,
    sharp: float = 0.2,
    grain: float = 0.1,
    seed: int = 0,
) -> tuple[PixelSplit, PixelSplit]:
    """Return training and test pictures of a disc and a square, every pixel labelled with noise.

    Whoever labels a picture draws each outline too wide or too tight, by an amount that is normal
    with standard deviation `vague` for discs and `sharp` for squares (pixels). With d the signed
    distance to the true outline, a pixel is labelled disc with probability Phi(-d / vague), and
    likewise square where it is not disc: `label_probs` holds these exact probabilities.

    Parameters
    ----------
    n_train, n_test : pictures
    size : height and width in pixels, at least 16
    vague, sharp : standard deviations of the drawn outlines of discs and squares, in pixels
    grain : standard deviation of the noise of the grey values, in [0, 1]
    seed : of shapes, grain and labels

    Returns
    -------
    train, test : PixelSplit
        Classes background, disc and square, with the true `label_probs`.

    Raises
    ------
    InputError
        For options out of range.

    Examples
    --------
    >>> train, test = vcviz.data.load_shapes(n_train=4, n_test=2)
    >>> train.x.shape, train.y.shape, train.class_names
    ((4, 1, 32, 32), (4, 32, 32), ('background', 'disc', 'square'))
    >>> np.allclose(test.label_probs.sum(axis=1), 1)
    True
    """
    check_count("size", size, minimum=16)
    for name, value in (("vague", vague), ("sharp", sharp)):
        check_number(name, value, above=0)
    if not 0 <= check_number("grain", grain) <= 1:
        raise InputError(f"grain must lie in [0, 1], got {grain}")
    rng = np.random.default_rng(check_count("seed", seed, minimum=0))
    parts = [
        _draw(check_count(name, n), size, (vague, sharp), grain, rng, f"shapes {part}")
        for name, n, part in (("n_train", n_train, "train"), ("n_test", n_test, "test"))
    ]
    return parts[0], parts[1]


def _draw(
    n: int,
    size: int,
    spread: tuple[float, float],
    grain: float,
    rng: np.random.Generator,
    name: str,
) -> PixelSplit:
    distance = _distances(n, size, rng)
    disc, square = (distance[:, k] < 0 for k in range(2))
    light = np.select([disc, square], [_LIGHT[1], _LIGHT[2]], _LIGHT[0])
    x = np.clip(light + grain * rng.standard_normal(light.shape), 0, 1)
    # One unsteady hand an outline: the same offset all around it.
    drawn = distance + np.array(spread)[:, None, None] * rng.standard_normal((n, 2, 1, 1))
    inside = [ndtr(-distance[:, k] / spread[k]) for k in range(2)]
    rest = 1 - inside[0]
    return PixelSplit(
        x=x[:, None].astype(np.float32),
        y=np.select([drawn[:, 0] < 0, drawn[:, 1] < 0], [1, 2], 0),
        class_names=CLASSES,
        label_probs=np.stack([rest * (1 - inside[1]), inside[0], rest * inside[1]], axis=1),
        name=name,
    )


def _distances(n: int, size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return (n, 2, size, size) signed distances to the outlines of a disc and a square.

    The two stand in different halves of the picture, in either order.
    """
    rows, columns = np.mgrid[:size, :size] + 0.5
    radius = rng.uniform(0.13, 0.2, (n, 2)) * size
    left = rng.random(n) < 0.5
    across = size * np.where(left[:, None], [0.27, 0.73], [0.73, 0.27])
    across = across + rng.uniform(-0.04, 0.04, (n, 2)) * size
    down = rng.uniform(0.28, 0.72, (n, 2)) * size
    dy, dx = (axis - centre[:, :, None, None] for axis, centre in ((rows, down), (columns, across)))
    disc = np.hypot(dy[:, 0], dx[:, 0]) - radius[:, 0, None, None]
    # Of a square: the larger coordinate outside its sides, the Euclidean distance off its corners.
    over = np.stack([np.abs(dy[:, 1]), np.abs(dx[:, 1])]) - radius[:, 1, None, None]
    outside = np.hypot(*np.maximum(over, 0))
    return np.stack([disc, outside + np.minimum(over.max(0), 0)], axis=1)

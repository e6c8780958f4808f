"""Gates: what must hold of an attack before its numbers mean anything."""

from __future__ import annotations

import numpy as np

from vcviz.base.arguments import takes_records
from vcviz.records import Gate, Gates, Trajectory

#: noises over which the gradient of a stochastic model must be averaged
_DRAWS = 10
#: share of inputs without a gradient, and of inputs whose loss did not rise, that is allowed
_FEW = 0.05
#: sums of float32 probabilities are off by no more
_SUM = 1e-3


@takes_records
def attack_gates(path: Trajectory) -> Gates:
    """Return the checks of an attack; they belong beside its numbers.

    Parameters
    ----------
    path : the attack; without `checks`, that is attacks at radii 0 and larger, the two gates that
        need them are not tried

    Returns
    -------
    Gates
        In a fixed order, those that could not be tried included.

    Raises
    ------
    InputError
        For anything but a `Trajectory`.

    Examples
    --------
    >>> run = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
    >>> gates = vcviz.metrics.attack_gates(run.attack(rows=20, checks=10, steps=5, progress=False))
    >>> gates.summary
    '8 of 8 gates hold; not tried: stays in the input range'
    """
    zero = next((p for p in path.checks if p.epsilon == 0), None)
    larger = [p for p in path.checks if p.epsilon > path.epsilon]
    rises = [_held(p, len(p)) - _held(path, len(p)) for p in larger]
    identity = path if path.epsilon == 0 else zero
    goal = path.reached
    image, n = path.x.ndim == 4, len(path)
    moving = np.ones(n, bool) if path.target is None else path.target != path.y
    with np.errstate(over="ignore"):  # infinitely far from 1
        total = np.exp(path.log_probs.astype(float)).sum(2)
    return checked(
        identity=None if identity is None else _change(identity),
        ball=float((path.distance / max(path.epsilon, 1e-30)).max()) if path.epsilon else None,
        reach=max(0.0, float(-path.x_adv.min()), float(path.x_adv.max()) - 1) if image else None,
        still=None if path.epsilon == 0 else _share((path.distance.max(0) == 0)[moving]),
        fell=None if path.epsilon == 0 else _share(~_rose(path)[moving]),
        steps=float(goal.max() - goal[-1]),
        larger=max(rises) if rises else None,
        noise=path.noise,
        draws=path.draws,
        output=float(np.abs(total - 1).max()),
        n=n,
    )


def checked(
    *,
    identity: float | None,
    ball: float | None,
    reach: float | None,
    still: float | None,
    fell: float | None,
    steps: float | None,
    larger: float | None,
    noise: float | None,
    draws: int,
    output: float,
    n: int,
) -> Gates:
    """Return the gates of these numbers; None where one could not be measured.

    Parameters
    ----------
    identity : largest change of a probability under an attack of radius 0
    ball : largest distance as a multiple of epsilon
    reach : how far images leave [0, 1]
    still, fell : shares of inputs that never moved, and whose loss did not rise
    steps, larger : by how much accuracy was lower after fewer steps, or higher at a larger radius
    noise, draws : of a stochastic model, see `Trajectory`
    output : how far probabilities are from summing to one
    n : number of inputs
    """
    slack = max(0.01, 1.5 / n)
    allowed = f"at most {slack:.2g} is allowed"
    random = noise is not None and noise > 0
    averaged = ""
    if random:
        averaged = f"; each gradient is a mean over {draws} draws of the noise"
        if draws < _DRAWS:
            averaged += f", {_DRAWS} or more are needed: see draws="
    return Gates(
        (
            _gate("ε = 0 is the identity", identity, 1e-6, "largest change of a probability"),
            _gate("stays in the ball", ball, 1 + 1e-6, "largest distance as a multiple of ε"),
            _gate("stays in the input range", reach, 0.0, "how far images leave [0, 1]"),
            _gate("has a gradient", still, _FEW,
                  f"share of inputs that never moved, for their gradient is zero (masked?); "
                  f"at most {_FEW:g} is allowed"),
            _gate("raises the loss", fell, _FEW,
                  f"share of inputs whose loss did not rise; at most {_FEW:g} is allowed"),
            _gate("more steps never help", steps, slack,
                  f"how much worse the model was at an earlier step, fraction; {allowed}"),
            _gate("a larger ε never helps", larger, slack,
                  f"rise of accuracy at a larger radius, fraction; {allowed}"),
            Gate("noise is averaged out", None if noise is None else not random or draws >= _DRAWS,
                 float("nan") if noise is None else noise,
                 "largest change of a probability when inputs are read again" + averaged),
            _gate("output is log-probabilities", output, _SUM,
                  "how far probabilities are from summing to one"),
        )
    )  # fmt: skip


def _gate(name: str, value: float | None, limit: float, text: str) -> Gate:
    if value is None:
        return Gate(name, None, float("nan"), f"not tried; {text}")
    return Gate(name, bool(value <= limit), float(value), text)


def _share(rows: np.ndarray) -> float:
    return float(rows.mean()) if rows.size else 0.0


def _rose(path: Trajectory) -> np.ndarray:
    """Return (N,) whether the odds against the label rose, or those of the target."""
    rows, goal = np.arange(len(path)), path.y if path.target is None else path.target
    ends = path.log_probs[[0, -1]].astype(np.float64)
    own = ends[:, rows, goal].copy()
    ends[:, rows, goal] = -np.inf
    # Odds, because a probability that rounds to one stays one while the others grow.
    before, after = np.logaddexp.reduce(ends, axis=2) - own
    return after > before if path.target is None else after < before


def _change(path: Trajectory) -> float:
    moved = np.abs(np.exp(path.log_probs[-1]) - np.exp(path.log_probs[0])).max()
    return float(max(moved, np.abs(path.x_adv - path.x).max()))


def _held(path: Trajectory, n: int) -> float:
    """Return the share of the first `n` inputs that are not where the attack wants them."""
    last = path.log_probs[-1, :n].argmax(1)
    hit = last != path.y[:n] if path.target is None else last == path.target[:n]
    return float(1 - hit.mean())

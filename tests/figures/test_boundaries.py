import itertools

import numpy as np
from scipy.special import log_softmax

from vcviz.figures.boundaries import boundaries, boundary_trace, simplified
from vcviz.records import LatentPlane


def plane(weight, bias, size=81):
    x = np.linspace(-2, 2, size)
    grid = np.stack(np.meshgrid(x, x), axis=-1)
    return LatentPlane(log_softmax(grid @ np.array(weight).T + bias, axis=2), x, x)


def test_two_classes_are_parted_by_their_line():
    path = boundaries(plane([[1.0, 2.0], [-1.0, 0.5]], [0.3, 0.0]))
    assert len(path) == 2  # a straight line needs two points
    np.testing.assert_allclose(path @ [2.0, 1.5] + 0.3, 0, atol=0.1)
    assert np.ptp(path, axis=0).max() > 3.5


def test_every_point_of_a_boundary_has_two_classes_that_lead():
    rng = np.random.default_rng(0)
    weight, bias = rng.standard_normal((6, 2)), 0.3 * rng.standard_normal(6)
    path = boundaries(plane(weight, bias))
    points = path[np.isfinite(path).all(1)]
    scores = np.sort(points @ weight.T + bias, axis=1)
    assert np.quantile(scores[:, -1] - scores[:, -2], 0.9) < 0.15
    # And each border between cells of the grid is near a line.
    x = np.linspace(-2, 2, 81)
    grid = np.stack(np.meshgrid(x, x), axis=-1)
    winner = (grid @ weight.T + bias).argmax(2)
    rows, columns = np.nonzero(winner[:, 1:] != winner[:, :-1])
    places = np.column_stack([(x[columns] + x[columns + 1]) / 2, x[rows]])
    dense = dotted(path)
    gap = np.sqrt(((places[:, None] - dense) ** 2).sum(2)).min(1)
    assert gap.max() < 0.12


def dotted(path):
    steps = np.linspace(0, 1, 200)[:, None]
    parts = [a + steps * (b - a) for a, b in itertools.pairwise(path)]
    found = np.concatenate(parts)
    return found[np.isfinite(found).all(1)]


def test_one_class_everywhere_has_no_boundary():
    path = boundary_trace(plane([[0.0, 0.0], [0.0, 0.0]], [9.0, 0.0]))
    assert np.isnan(path["x"]).all()


def test_what_is_left_out_lies_on_what_is_left():
    angle = np.linspace(0, np.pi, 200)
    arc = np.column_stack([np.cos(angle), np.sin(angle)])
    few = simplified(arc, 0.01)
    assert 6 < len(few) < 40
    np.testing.assert_array_equal(few[[0, -1]], arc[[0, -1]])
    dense = dotted(few)
    assert np.sqrt(((arc[:, None] - dense) ** 2).sum(2)).min(1).max() < 0.011
    ring = np.concatenate([arc, -arc])
    assert len(simplified(ring, 0.01)) > 12

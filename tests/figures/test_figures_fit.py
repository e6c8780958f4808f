from dataclasses import replace

import numpy as np
import pytest
from fake_runs import fit

from vcviz.base.errors import InputError
from vcviz.figures import plot_latent_fit, theme


def test_dots_and_whiskers_are_the_records():
    record = fit()
    (dots,) = plot_latent_fit(record).data
    np.testing.assert_allclose(dots.y, record.kl)
    np.testing.assert_allclose(dots.error_y.array[:2], 0.5 * record.kl[:2])
    np.testing.assert_allclose(dots.error_y.arrayminus[:2], 0.5 * record.kl[:2])
    np.testing.assert_array_equal(dots.customdata[:, 2], record.count)


def test_one_fit_has_the_classes_colours_and_several_have_their_own():
    assert list(plot_latent_fit(fit()).data[0].marker.color) == [
        theme.class_color(k) for k in range(3)
    ]
    fig = plot_latent_fit([fit(1, "a"), fit(2, "<b>")])
    assert [t.marker.color for t in fig.data] == [theme.run_style(i)[0] for i in (0, 1)]
    assert [t.name for t in fig.data] == ["a, mean 1.5 nats", "&lt;b&gt;, mean 3 nats"]
    assert not set(fig.data[0].x) & set(fig.data[1].x)


@pytest.mark.parametrize(
    ("statistic", "unit", "ideal"),
    [
        ("energy", "energy distance", 0),
        ("auc", "fraction", 0.5),
        ("whitened_variance", "variance", 1),
    ],
)
def test_each_statistic_has_its_unit_and_its_line(statistic, unit, ideal):
    fig = plot_latent_fit(fit(), statistic=statistic)
    assert unit in fig.layout.yaxis.title.text
    (line,) = fig.layout.shapes
    assert (line.y0, line.y1) == (ideal, ideal)
    np.testing.assert_allclose(fig.data[0].y, getattr(fit(), statistic))


def test_values_far_apart_get_a_log_axis_that_says_where_zero_is():
    fig = plot_latent_fit([fit(1), fit(100)])
    assert fig.layout.yaxis.type == "log"
    assert "nats" in fig.layout.yaxis.title.text
    assert fig.layout.xaxis.title.text == "class<br>↓ as anticipated: 0, below any log axis"
    assert not fig.layout.shapes
    low, high = 10 ** np.array(fig.layout.yaxis.range)
    assert low < 1 < 300 < high


def test_negative_and_infinite_values_leave_the_axis_finite():
    odd = replace(fit(), energy=np.array([-0.01, np.inf, 0.4]), kl=np.array([np.inf, 1e-3, 500.0]))
    for statistic in ("energy", "kl"):
        fig = plot_latent_fit([odd, fit(10)], statistic=statistic)
        assert fig.layout.yaxis.range is None or np.isfinite(fig.layout.yaxis.range).all()


def test_class_names_are_text():
    fig = plot_latent_fit(fit())
    assert fig.layout.xaxis.ticktext == ("ant", "&lt;b&gt;bee&lt;/b&gt;", "cat &#36;x&#36;")
    assert fig.data[0].text[1] == "&lt;b&gt;bee&lt;/b&gt;"


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(InputError, match="unknown statistic 'kll'; did you mean 'kl'"):
        plot_latent_fit(fit(), statistic="kll")
    with pytest.raises(InputError, match="at least one"):
        plot_latent_fit([])
    other = replace(fit(name="b"), class_names=("x", "y", "z"))
    with pytest.raises(InputError, match="same classes; 'fit' and 'b' differ"):
        plot_latent_fit([fit(), other])

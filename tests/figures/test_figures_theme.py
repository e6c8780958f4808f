import colorsys

import plotly.graph_objects as go
import pytest

from vcviz.base.errors import InputError
from vcviz.figures import theme


def _luminance(color: str) -> float:
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(a: str, b: str) -> float:
    high, low = sorted((_luminance(a), _luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_okabe_ito_comes_first():
    assert theme.CLASS_COLORS[:6] == (
        "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7",
    )  # fmt: skip


def test_every_class_color_shows_on_white_and_on_black():
    for color in theme.CLASS_COLORS:
        assert _contrast(color, "#ffffff") > 1.4, color
        assert _contrast(color, "#111111") > 1.9, color


def test_twenty_four_hues_differ_and_a_hundred_classes_have_their_own_mark():
    assert len(set(theme.CLASS_COLORS)) == 24
    hues = [colorsys.rgb_to_hsv(*(int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)))
            for c in theme.CLASS_COLORS]  # fmt: skip
    assert len({tuple(round(v, 2) for v in hue) for hue in hues}) == 24
    marks = {(theme.class_color(k), theme.class_symbol(k)) for k in range(100)}
    assert len(marks) == 100


def test_runs_differ_in_color_dash_and_marker():
    for part in zip(*(theme.run_style(i) for i in range(6)), strict=True):
        assert len(set(part)) == 6
    assert theme.run_style(6) != theme.run_style(0)


def test_plotly_knows_every_symbol():
    for symbol in theme.SYMBOLS:
        go.Scatter(marker={"symbol": symbol})


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<b>bee</b>", "&lt;b&gt;bee&lt;/b&gt;"),
        ("cat & dog", "cat &amp; dog"),
        ("$x^2$", "&#36;x^2&#36;"),
        ("%{y}", "&#37;{y}"),
        ("two\nlines\t here", "two lines here"),
        (7, "7"),
    ],
)
def test_escape_makes_markup_text(text, shown):
    assert theme.escape(text) == shown


def test_escape_cuts_the_text_not_its_entities():
    assert theme.escape("<<<<<<", 3) == "&lt;&lt;…"
    assert theme.escape("abc", 3) == "abc"


def test_automatic_ink_reads_on_light_and_dark_pages_and_has_no_background():
    layout = theme.template("auto").layout
    assert layout.paper_bgcolor == "rgba(0,0,0,0)" == layout.plot_bgcolor
    for page in ("#ffffff", "#111111"):
        assert _contrast(theme.ink("auto"), page) > 4
        assert _contrast(theme.NEUTRAL, page) > 4


@pytest.mark.parametrize(("name", "page"), [("light", "#FFFFFF"), ("dark", "#111111")])
def test_a_theme_with_a_background_has_strong_ink(name, page):
    layout = theme.template(name).layout
    assert layout.paper_bgcolor == page
    assert _contrast(layout.font.color, page) > 7


def test_apply_sets_the_template_of_that_figure_alone():
    fig = go.Figure()
    assert theme.apply(fig, "dark") is fig
    assert fig.layout.template.layout.paper_bgcolor == "#111111"
    assert go.Figure().layout.template.layout.paper_bgcolor != "#111111"


def test_an_unknown_theme_is_refused_with_the_nearest():
    with pytest.raises(InputError, match="unknown theme 'drak'; did you mean 'dark'"):
        theme.template("drak")

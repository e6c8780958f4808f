import base64
import io
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from fake_runs import prior, trajectory
from PIL import Image

from vcviz.base.errors import InputError
from vcviz.figures import plot_attack_accuracy, plot_trajectory, theme
from vcviz.figures.trajectory import Scene
from vcviz.figures.trajectory_paths import pick_samples


def of(fig, layer: str):
    return [t for t in fig.data if (t.meta or {}).get("layer") == layer]


def lines(trace):
    """Split a trace at its gaps."""
    xy = np.stack([trace.x, trace.y], axis=1)
    parts = np.split(xy, np.flatnonzero(np.isnan(xy).any(1)))
    return [p[~np.isnan(p).any(1)] for p in parts if (~np.isnan(p).any(1)).any()]


def test_paths_are_the_latents_of_every_step_in_the_colour_of_the_true_class():
    path = trajectory()
    fig = plot_trajectory(path, prior(), samples=range(9))
    for k, trace in enumerate(of(fig, "path")):
        assert trace.line.color == theme.class_color(k)
        for i, line in zip(np.flatnonzero(path.y == k), lines(trace), strict=True):
            np.testing.assert_allclose(line, path.z[:, i], rtol=1e-5)


def test_crosses_stand_where_the_prediction_first_is_wrong():
    path = trajectory()
    fig = plot_trajectory(path, prior(), samples=range(9))
    flips = of(fig, "flip")[0]
    rows = np.flatnonzero(path.first_flip >= 0)
    assert len(rows) == 8
    np.testing.assert_allclose(flips.x, path.z[path.first_flip[rows], rows, 0], rtol=1e-5)
    assert flips.text[0] == "flips at step 1"
    few = np.array([7, 8, 2])
    on_curve = of(plot_trajectory(path, prior(), samples=few), "flip")[1]
    np.testing.assert_array_equal(on_curve.x, path.first_flip[[7, 2]])
    own = path.log_probs[path.first_flip[[7, 2]], [7, 2], path.y[[7, 2]]]
    np.testing.assert_allclose(on_curve.y, own, rtol=1e-5)


def test_curves_are_log_probabilities_and_log_densities_of_the_true_class():
    path, law = trajectory(), prior()
    fig = plot_trajectory(path, law, samples=[4])
    curves = of(fig, "curve")
    y = path.y[4]
    np.testing.assert_allclose(lines(curves[0])[0][:, 1], path.log_probs[:, 4, y], rtol=1e-5)
    np.testing.assert_allclose(
        lines(curves[1])[0][:, 1], law.log_prob(path.z[:, 4])[:, y], rtol=1e-5
    )
    medians = of(fig, "median")
    own = path.log_probs[:, np.arange(9), path.y]
    np.testing.assert_allclose(medians[0].y, np.median(own, axis=1), rtol=1e-5)
    assert fig.layout.yaxis10.title.text == "nats" == fig.layout.yaxis11.title.text


def test_without_a_law_there_is_one_curve_panel_and_no_outline():
    fig = plot_trajectory(trajectory(), samples=[0])
    assert len(of(fig, "curve")) == 1
    assert not of(fig, "anticipated")
    assert len(of(plot_trajectory(trajectory(), prior()), "anticipated")) == 3


def test_frames_hold_each_step_and_start_where_asked():
    path = trajectory()
    fig = plot_trajectory(path, prior(), samples=range(9), step=2)
    assert len(fig.frames) == 5
    assert fig.layout.sliders[0].active == 2
    now = list(fig.data).index(of(fig, "now")[0])
    for step, frame in enumerate(fig.frames):
        moved = dict(zip(frame.traces, frame.data, strict=True))
        np.testing.assert_allclose(moved[now].x, path.z[step, :, 0], rtol=1e-5)
        wrong = path.log_probs[step].argmax(1) != path.y
        np.testing.assert_array_equal(moved[now].marker.line.width > 0, wrong)
        readout = next(t for t in frame.data if t.text and "accuracy" in t.text[0])
        assert f"accuracy {path.accuracy[step]:.3f}" in readout.text[0]
    np.testing.assert_allclose(of(fig, "now")[0].x, path.z[2, :, 0], rtol=1e-5)
    assert fig.layout.sliders[0].steps[0].args[1]["frame"]["redraw"] is False


def test_default_samples_take_classes_in_turn_and_first_those_that_were_right():
    path = trajectory(30)
    scene = Scene(path, prior())
    assert len(scene.samples) == 12
    assert np.bincount(scene.paths.y).tolist() == [4, 4, 4]
    log_probs = path.log_probs.copy()
    log_probs[0, 0] = np.roll(log_probs[0, 0], 1)
    assert 0 not in Scene(replace(path, log_probs=log_probs), prior()).samples


def test_four_dimensional_latents_are_projected_and_their_law_with_them():
    path, law = trajectory(dim=4), prior(4)
    scene = Scene(path, law, samples=[0, 1])
    np.testing.assert_allclose(scene.paths.points[3], scene.projection(path.z[3, :2]), rtol=1e-6)
    assert "PC 1" in plot_trajectory(path, law).layout.xaxis.title.text


def pixels_of(image) -> np.ndarray:
    """Return what a layout image shows, one pixel of the inputs each."""
    png = base64.b64decode(image.source.split(",")[1])
    large = np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))
    times = large.shape[0] // int(image.sizey)
    assert large.shape[:2] == (times * image.sizey, times * image.sizex)
    return large[::times, ::times]


def test_pictures_show_before_after_and_difference():
    path = trajectory()
    fig = plot_trajectory(path, samples=[3, 5])
    pixels = pixels_of(fig.layout.images[0])
    assert pixels.shape == (3 * 5, 2 * 6, 4)
    np.testing.assert_array_equal(pixels[:4, :5, 0], np.round(path.x[3, 0] * 255))
    np.testing.assert_array_equal(pixels[5:9, 6:11, 2], np.round(path.x_adv[5, 0] * 255))
    assert (pixels[4, :, 3] == 0).all()
    change = path.x_adv[5, 0] - path.x[5, 0]
    largest = np.abs(path.x_adv[[3, 5]] - path.x[[3, 5]]).max()
    np.testing.assert_allclose(
        pixels[10:14, 6:11, 0] / 255, 0.5 + 0.5 * change / largest, atol=0.003
    )
    (points,) = of(fig, "pictures")
    np.testing.assert_allclose(points.x[:2], [2.5, 8.5])
    assert points.text[0] == points.text[2]
    assert points.text[0].startswith(f"row {path.index[3]}: true")


# ---------------------------------------------------------------- the followed input


def with_changes(path):
    share = np.linspace(0, 1, path.steps + 1).reshape(-1, *[1] * path.x.ndim)
    return replace(path, change=(share * (path.x_adv - path.x)).astype(np.float16))


@pytest.mark.parametrize("step", [0, 2, 4])
def test_bars_are_the_probabilities_of_the_followed_input(step):
    path = trajectory()
    spec = Scene(path, prior()).spec(step, 5)
    (bars,) = (t for t in spec["data"] if t.get("meta", {}).get("layer") == "bars")
    (points,) = (t for t in spec["data"] if t.get("meta", {}).get("layer") == "probability")
    p = np.exp(path.log_probs[step, 5])
    np.testing.assert_allclose(points["x"], p, rtol=1e-5)
    np.testing.assert_allclose(bars["x"][1::3], p, rtol=1e-5)
    ticks = spec["layout"][f"yaxis{points['yaxis'][1:]}"]["ticktext"]
    assert [k for k, text in enumerate(ticks) if "(true)" in text] == [path.y[5]]
    assert not any("<b>bee" in text for text in ticks)


def test_the_film_shows_the_input_and_its_change_at_its_steps():
    path = with_changes(trajectory(steps=20))
    scene = Scene(path, prior())
    spec = scene.spec(7, 5, exact=True)
    pixels = pixels_of(SimpleNamespace(**spec["layout"]["images"][-1]))
    (frame,) = (t for t in spec["data"] if t.get("meta", {}).get("layer") == "frame")
    axis = spec["layout"][f"xaxis{frame['xaxis'][1:]}"]
    assert axis["ticktext"] == ["0", "3", "7", "10", "13", "17", "20"]
    want = path.x[5, 0] + path.change[7, 5, 0].astype(float)
    np.testing.assert_allclose(pixels[:4, 12:17, 0] / 255, want.clip(0, 1), atol=0.003)
    change = path.change[:, 5, 0].astype(float)
    np.testing.assert_allclose(
        pixels[5:9, 12:17, 0] / 255, 0.5 + 0.5 * change[7] / np.abs(change).max(), atol=0.003
    )
    assert frame["x"].min() < 12 < 17 < frame["x"].max() + 0.6
    # Without an exact step the film stays as it is, and the frame marks the last picture before.
    still = [scene.spec(step, 5)["layout"]["images"][-1] for step in (0, 8)]
    assert still[0] == still[1]


def test_the_axes_stay_put_whatever_the_step_is():
    scene = Scene(with_changes(trajectory()), prior())
    layouts = [scene.spec(step, 5)["layout"] for step in range(5)]
    assert all(layout == layouts[0] for layout in layouts)


def test_columns_of_a_table_stand_where_pictures_would():
    path = with_changes(trajectory())
    flat = replace(
        path,
        x=path.x.reshape(9, 20),
        x_adv=path.x_adv.reshape(9, 20),
        change=path.change.reshape(5, 9, 20),
    )
    spec = Scene(flat, prior()).spec(2, 4)
    (columns,) = (t for t in spec["data"] if t.get("meta", {}).get("layer") == "columns")
    np.testing.assert_allclose(columns["y"][1::3], flat.change[2, 4].astype(float), rtol=1e-3)
    assert not spec["layout"]["images"]


def test_what_becomes_of_the_followed_input_is_told_in_words():
    path = trajectory()
    scene = Scene(path, prior())
    told = scene.words(1)
    assert told == (
        "row 101, true <b>bee</b>, read as cat $x$: "
        "leaves the 90 % support of its class at step 2, flips at step 2"
    )
    assert "flips at step 2" in Scene(path).words(1)
    notes = [a["text"] for a in scene.spec(3, 1)["layout"]["annotations"]]
    assert any("Row 101, true &lt;b&gt;bee&lt;/b&gt;" in note for note in notes)
    assert "half leave by step 2" in notes[0]
    assert "Sanity gates: 5 of 6 hold; ✗ raises the loss (0.11)" in notes[0]


def test_every_drawn_input_can_be_followed_in_the_static_figure():
    path = with_changes(trajectory())
    fig = plot_trajectory(path, prior(), samples=range(9))
    menu = fig.layout.updatemenus[1]
    assert menu.buttons[1].label == "Input: row 101: &lt;b&gt;bee&lt;/b&gt; → cat &#36;x&#36;"
    assert len(menu.buttons) == 9
    visible, layout, rows = menu.buttons[4].args
    shown = [fig.data[i] for i, on in zip(rows, visible["visible"], strict=True) if on]
    (followed,) = (t for t in shown if t.meta["layer"] == "followed")
    np.testing.assert_allclose(followed.x, path.z[:, 4, 0], rtol=1e-5)
    assert any("Row 104" in str(value) for value in layout.values())
    (points,) = (t for t in shown if t.meta["layer"] == "probability")
    at = next(i for i, t in enumerate(fig.data) if t is points)
    moved = dict(zip(fig.frames[1].traces, fig.frames[1].data, strict=True))[at]
    np.testing.assert_allclose(moved.x, np.exp(path.log_probs[1, 4]), rtol=1e-5)
    assert fig.layout.sliders[0].steps[0].args[1]["frame"]["redraw"] is False
    assert len(fig.to_json()) < 400_000


def test_points_and_paths_lead_to_their_input():
    scene = Scene(trajectory(), prior(), samples=[0, 3, 4, 6])
    assert scene.clicked({"layer": "now"}, 2) == 4
    assert scene.clicked({"layer": "path", "group": 0}, 6 * 1 + 2) == 3
    assert scene.clicked({"layer": "pictures"}, 5) == 3
    assert scene.clicked({"layer": "anticipated"}, 0) is None


def is_grey(color: str) -> bool:
    return np.ptp([int(color[i : i + 2], 16) for i in (1, 3, 5)]) < 40


def test_colours_may_be_those_of_the_step_at_which_an_input_flips():
    path = trajectory()
    with pytest.raises(InputError, match="unknown colour of paths 'loss'"):
        plot_trajectory(path, color="loss")
    samples = [8, 0, 3, 7, 2]
    scene = Scene(path, prior(), samples=samples, color="flip")
    fig = scene.figure(2)
    steps = path.first_flip[samples]
    assert len(set(steps)) < len(steps)
    assert -1 in steps
    colors = dict(zip(of(fig, "now")[0].marker.color, steps, strict=True))
    assert sorted(colors.values()) == sorted(set(steps))
    assert colors[theme.NEUTRAL] == -1
    assert not any(is_grey(color) for color in colors if color != theme.NEUTRAL)
    for layer in ("path", "curve"):
        for trace in of(fig, layer):
            step = colors[trace.line.color]
            assert trace.name == ("never flips" if step < 0 else f"flips at step {step}")
            assert len(lines(trace)) == (steps == step).sum()
    keys = {t.name: t.line.color for t in of(fig, "key")}
    assert all(keys[t.name] == t.line.color for t in of(fig, "path"))
    for trace in of(fig, "path"):
        mine = np.array(samples)[steps == colors[trace.line.color]]
        assert scene.clicked(trace.meta, len(mine) * (path.steps + 2) - 2) == mine[-1]
    thick = [
        t for t in scene.spec(2, 3)["data"] if "followed" in t.get("meta", {}).get("layer", "")
    ]
    assert len(thick) == 4
    assert {colors[t["line"]["color"]] for t in thick} == {path.first_flip[3]}


# ---------------------------------------------------------------- which inputs


def test_inputs_are_drawn_by_what_becomes_of_them():
    path = trajectory(30)
    held = np.flatnonzero(path.first_flip < 0)
    np.testing.assert_array_equal(pick_samples(path, "hold", [0, 1, 2]), held)
    flips = pick_samples(path, "flip", [1])
    assert (path.y[flips] == 1).all()
    assert (path.first_flip[flips] > 0).all()
    assert len(pick_samples(path, "evenly", [0, 1, 2])) == 12
    np.testing.assert_array_equal(pick_samples(path, "rows", [], [105, 101]), [1, 5])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("rows", [0], []), "type row numbers to draw, for example 3, 17, 40-45"),
        (("rows", [0], [7]), "row 7 was not attacked; there are 9 rows from 100 to 108"),
        (("hold", [0]), "no input of these classes holds under this attack"),
        (("evenly", []), "none of the attacked inputs is of these classes; tick more"),
    ],
)
def test_no_inputs_to_draw_is_said(options, message):
    with pytest.raises(InputError, match=message):
        pick_samples(trajectory(), *options)


def test_pictures_only_for_images():
    path = trajectory()
    flat = replace(path, x=path.x.reshape(9, 20), x_adv=path.x_adv.reshape(9, 20))
    assert not of(plot_trajectory(flat), "pictures")
    assert not of(plot_trajectory(path, pictures=False), "pictures")


def test_names_are_text():
    fig = plot_trajectory(trajectory(), prior())
    assert "run &lt;i&gt;" in fig.layout.annotations[0].text
    assert all("<b>bee" not in (t.name or "") for t in fig.data)
    assert "true &lt;b&gt;bee&lt;/b&gt;" in of(fig, "now")[0].text[1]


def test_rows_and_steps_that_do_not_exist_are_refused():
    with pytest.raises(InputError, match=r"step must lie in \[0, 4\], got 5"):
        plot_trajectory(trajectory(), step=5)
    for odd in (1.5, "last", -1):
        with pytest.raises(InputError, match=r"step must lie in \[0, 4\], got"):
            plot_trajectory(trajectory(), step=odd)
    for odd in (0, "x", []):
        with pytest.raises(InputError, match="mass must hold shares between 0 and 1"):
            plot_trajectory(trajectory(), mass=odd)
    with pytest.raises(InputError, match="prior must be a LatentPrior, got str"):
        plot_trajectory(trajectory(), "law")
    with pytest.raises(InputError, match="projection must be a Projection, got str"):
        plot_trajectory(trajectory(), projection="pca")
    for odd in ([9], [0.5], ["a"], 3, []):
        with pytest.raises(InputError, match=r"samples must be whole numbers in \[0, 9\), at"):
            plot_trajectory(trajectory(), samples=odd)


def test_inputs_are_not_changed():
    path = trajectory()
    before = path.z.tobytes(), path.x.tobytes(), path.log_probs.tobytes()
    plot_trajectory(path, prior())
    assert (path.z.tobytes(), path.x.tobytes(), path.log_probs.tobytes()) == before


def test_attack_accuracy_is_the_records_with_a_wilson_interval():
    path = trajectory(8)  # without the row that is never misread: all wrong at the end
    fig = plot_attack_accuracy([path, replace(path, name="b")])
    line = of(fig, "accuracy")[0]
    np.testing.assert_allclose(line.y, path.accuracy)
    assert line.name == "run &lt;i&gt; (n = 8)"
    band = of(fig, "interval")[0]
    # Wilson, no success among 8 at z = 1.96: upper end z^2 / (n + z^2).
    z = 1.959964
    assert path.accuracy[4] == 0
    assert band.y[4] == pytest.approx(z**2 / (8 + z**2), rel=1e-4)
    assert band.y[5] == pytest.approx(0, abs=1e-9)
    assert fig.layout.yaxis.title.text == "accuracy, fraction"
    assert "PGD, L∞, ε = 0.1" in fig.layout.title.text
    assert "6 of 6 hold; not tried: ε = 0" in fig.layout.annotations[0].text
    with pytest.raises(InputError, match="at least one"):
        plot_attack_accuracy([])

"""LatentExplorer with a model behind it: backdrops, strangers, pictures, lasso, kept latents."""

import base64
import html
import io
import json

import numpy as np
import pandas as pd
import pytest
from fake_runs import NAMES, FakeRun, latents, prior

import vcviz
from vcviz.base.errors import InputError
from vcviz.explorers import DirectionExplorer, LatentExplorer, Selection, link
from vcviz.explorers.events import within
from vcviz.explorers.samples import sample_of
from vcviz.explorers.selection import Selection as Chosen
from vcviz.latents.fields import plane_log_ratio, score_plane
from vcviz.metrics import row_values
from vcviz.metrics.inspection import selection_summary, selection_table
from vcviz.metrics.ood import score, threshold_at_tpr
from vcviz.records import LatentSet, Split


def of(fig, layer, k=None):
    metas = [(t, t.meta or {}) for t in fig.data]
    return [t for t, m in metas if m.get("layer") == layer and k in (None, m.get("class"))]


def number_of(ui, layer, k, panel=0):
    """Return the number of a trace, as a page would tell it."""
    axis = ui.view.layout.meta["panels"][panel]
    for i, trace in enumerate(ui.view.data):
        if (trace.meta or {}) == {"layer": layer, "class": k} and (trace.xaxis or "x") == axis:
            return i
    raise AssertionError("no such trace")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two small trained runs, one of them with a critic."""
    options = {"epochs": 12, "n_train": 150, "probe_every": 6, "latent_dim": 3, "batch_size": 32}
    options["progress"] = False
    out = tmp_path_factory.mktemp("runs")
    return [
        vcviz.train(dataset="digits", head=head, out=out, **options)
        for head in ("softmax", "variational")
    ]


@pytest.fixture
def ui(runs):
    return LatentExplorer(runs)


# ---------------------------------------------------------------- backdrops


def test_the_backdrops_on_offer_are_what_the_runs_can_give(ui, runs):
    kinds = [value for _, value in ui.controls["backdrop"].options]
    assert kinds == ["none", "regions", "log_ratio", "ood"]
    no_critic = LatentExplorer(runs[0])
    assert "log_ratio" not in [value for _, value in no_critic.controls["backdrop"].options]
    assert [v for _, v in ui.controls["strangers"].options] == ["", "noise", "inverted", "rotated"]


def test_regions_are_bayes_rule_at_every_epoch(ui, runs):
    ui.controls["backdrop"].value = "regions"
    first = [t.source for t in of(ui.view, "regions")]
    ui.controls["epoch"].value = 0
    second = [t.source for t in of(ui.view, "regions")]
    assert len(first) == len(second) == 2
    assert first[0] != second[0]  # softmax learns its weights; the other's law stays
    # Of the trained model they are what the model itself says.
    ui.controls["epoch"].value = 12
    lat, source = runs[0].latents("test", 12), ui.sources[0]
    rows = ("test", True)
    frame = {
        "projection": source.projection(("pca",), "test"),
        "ranges": source.ranges(("pca",), rows),
        "size": 96,
    }
    from vcviz.figures.regions import region_pixels

    own = region_pixels(vcviz.latents.plane_log_probs(runs[0].model(), lat, **frame).log_probs)
    shown = picture_of(of(ui.view, "regions")[0].source)
    assert (np.abs(own[..., :3].astype(int) - shown[..., :3]) > 0).any(2).mean() < 0.01


def picture_of(uri):
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))).convert("RGBA"))


def test_the_critic_is_shown_of_the_trained_model_alone(ui, runs):
    ui.controls["backdrop"].value = "log_ratio"
    assert len(of(ui.view, "log_ratio")) == 1
    source = ui.sources[1]
    rows = ("test", True)
    field = plane_log_ratio(
        runs[1].model(),
        runs[1].latents("test", 12),
        projection=source.projection(("pca",), "test"),
        ranges=source.ranges(("pca",), rows),
        size=96,
    )
    (bar,) = of(ui.view, "bar")
    assert bar.marker.cmax == pytest.approx(field.limits[1])
    assert "no critic" in " ".join(ui.views()[0].notes())
    ui.controls["epoch"].value = 0
    assert not of(ui.view, "log_ratio")
    assert "trained model" in " ".join(ui.views()[1].notes())


def test_strangers_come_with_the_line_that_tells_them_apart(ui, runs):
    ui.controls["strangers"].value = "noise"
    ui.controls["score"].value = "log_marginal"
    strange = of(ui.view, "strangers")
    assert len(strange) == len(of(ui.view, "fpr95")) == 2
    assert [t.showlegend for t in strange] == [True, False]
    run = runs[1]
    noise = vcviz.data.make_strangers(run.split("test"), "noise")
    lat = vcviz.extract_latents(run.model(), noise, name="noise")
    points = ui.sources[1].projection(("pca",), "test")(lat.z)
    np.testing.assert_allclose(np.sort(strange[1].x), np.sort(points[:, 0]), atol=1e-5)
    known = score(run.latents("test"), "log_marginal", prior=run.prior())
    passed = score(lat, "log_marginal", prior=run.prior()) <= threshold_at_tpr(known)
    assert f"FPR95 {passed.mean():.2f}" in " ".join(ui.views()[1].notes())


def test_own_strangers_can_be_brought(runs):
    split = runs[0].split("test")
    mine = Split(1 - split.x[:20] / split.x.max(), split.y[:20], class_names=split.class_names)
    ui = LatentExplorer(runs, strangers={"<mine>": mine})
    ui.controls["strangers"].value = "<mine>"
    assert of(ui.view, "strangers")[0].name == "&lt;mine&gt;"
    assert len(of(ui.view, "strangers")[0].x) == 20


def test_a_score_is_drawn_with_its_own_colours(ui, runs):
    ui.controls["backdrop"].value = "ood"
    ui.controls["score"].value = "mahalanobis"
    assert len(of(ui.view, "ood")) == 2
    fields = [
        score_plane(None, r.latents("test"), "mahalanobis", train=r.latents("train"), size=8)
        for r in runs
    ]
    (bar,) = of(ui.view, "bar")
    assert bar.marker.cmax == pytest.approx(max(f.limits[1] for f in fields))


def test_what_a_control_does_nothing_for_is_hidden(ui):
    assert ui.controls["score"].layout.display == "none"
    ui.controls["backdrop"].value = "ood"
    assert ui.controls["score"].layout.display is None


# ---------------------------------------------------------------- axes


def test_a_tour_turns_on_axes_that_stay_put(ui, runs):
    ui.controls["axes"].value = ("tour",)
    seen, ranges = set(), set()
    for turn in (0, 30, 89):
        ui.controls["turn"].value = turn
        frame = ui.sources[0].tour("test", 90)[turn]
        lat = runs[0].latents("test", 12)
        (trace,) = [t for t in of(ui.view, "points", 4) if t.xaxis == "x"]
        np.testing.assert_allclose(trace.x, frame(lat.z[lat.y == 4])[:, 0], atol=1e-5)
        seen.add(trace.x.tobytes())
        ranges.add((ui.view.layout.xaxis.range, ui.view.layout.yaxis.range))
    assert (len(seen), len(ranges)) == (3, 1)


def test_panels_follow_the_width_of_the_page():
    ui = LatentExplorer([FakeRun("softmax"), FakeRun("variational"), FakeRun("pc_softmax")])
    heights = {}
    for width in (1200, 800, 500, 360):
        ui.view.tell("resize", width=width)
        rows = {tuple(np.round(ui.view.layout[f"yaxis{n}"].domain, 3)) for n in ("", 2, 3)}
        heights[width] = (len(rows), ui.view.layout.height)
    assert [heights[w][0] for w in (1200, 800)] == [1, 1]
    assert heights[800][1] < heights[1200][1]
    assert heights[500][0] > 1
    ui.reset()  # the page is as narrow as before
    assert ui.view.layout.height == heights[360][1]


# ---------------------------------------------------------------- many points


def many(n=3000, dim=2):
    rng = np.random.default_rng(0)
    y = np.arange(n) % 3
    z = 5.0 * np.eye(3, dim)[y] + rng.standard_normal((n, dim))
    return LatentSet(z, np.log(np.full((n, 3), 1 / 3)), y, np.arange(n), NAMES, "many")


def test_too_many_points_are_a_picture_and_zooming_brings_them_back():
    lat = many()
    ui = LatentExplorer((lat, prior()), max_points=500)
    assert len(of(ui.view, "raster")) == 1
    assert sum(len(t.x) for t in of(ui.view, "points")) == 0
    assert "of 3,000 points in view as a picture" in " ".join(ui.views()[0].notes())
    corner = ((4.0, 5.5), (-1.0, 1.0))
    ui.view.tell("viewport", axes=("x", "y"), range=corner)
    inside = ((lat.z >= [4, -1]) & (lat.z <= [5.5, 1])).all(1)
    assert 0 < inside.sum() < 500
    assert not of(ui.view, "raster")
    assert sum(len(t.x) for t in of(ui.view, "points")) == inside.sum()
    ui.reset()
    assert len(of(ui.view, "raster")) == 1


def test_what_a_page_is_sent_does_not_grow_with_the_points():
    def payload(n):
        ui = LatentExplorer((many(n), prior()), max_points=500)
        state = ui.view.get_state("_figure")["_figure"]
        return sum(len(part) for part in leaves(state))

    assert payload(400_000) < 1.2 * payload(100_000) < 1.5e6


def leaves(value):
    if isinstance(value, dict):
        return [leaf for part in value.values() for leaf in leaves(part)]
    if isinstance(value, list):
        return [leaf for part in value for leaf in leaves(part)]
    return [value if isinstance(value, bytes) else str(value)]


def test_chosen_points_stand_on_the_picture():
    ui = LatentExplorer((many(), prior()), max_points=500)
    ui.chosen.choose([3, 6, 8])
    assert sorted(len(t.x) for t in of(ui.view, "points")) == [0, 1, 2]


# ---------------------------------------------------------------- lasso and clicks


@pytest.fixture
def pair():
    return LatentExplorer([FakeRun("softmax"), FakeRun("variational")])


SQUARE = np.array([[-2.5, -2.5], [2.5, -2.5], [2.5, 2.5], [-2.5, 2.5]])


def test_a_lasso_gives_its_rows_back_in_every_run(pair):
    pair.view.tell("select", axes=("x2", "y2"), polygon=SQUARE)
    lat = FakeRun().latents("test", 5)
    inside = (np.abs(lat.z) < 2.5).all(1)
    assert 0 < inside.sum() < len(lat)
    np.testing.assert_array_equal(pair.chosen.rows, lat.index[inside])
    assert (pair.chosen.source, pair.chosen.split) == ("variational", "test")
    for trace in of(pair.view, "points"):
        mine = lat.index[lat.y == trace.meta["class"]]
        np.testing.assert_array_equal(
            trace.selectedpoints, np.flatnonzero(np.isin(mine, lat.index[inside]))
        )
    table = pair.selection
    wanted = selection_table(lat, prior(), pair.chosen.rows)
    assert table["run"].unique().tolist() == ["softmax", "variational"]
    assert (
        table[table["run"] == "softmax"].drop(columns="run").reset_index(drop=True).equals(wanted)
    )
    summary = selection_summary(lat, prior(), pair.chosen.rows)
    told = pair._picks._table.value
    assert f"{summary.accuracy:.3f}" in told
    assert f"{summary.ece:.3f}" in told
    pair.view.tell("select", axes=None, polygon=None)
    assert len(pair.chosen) == 0
    assert len(pair.selection) == 0


def test_classes_that_are_not_shown_are_not_lassoed(pair):
    pair.controls["classes"].value = (1,)
    pair.view.tell("select", axes=("x", "y"), polygon=100 * SQUARE)
    lat = FakeRun().latents("test", 5)
    np.testing.assert_array_equal(pair.chosen.rows, lat.index[lat.y == 1])


def test_a_lasso_in_the_fits_chooses_nothing(pair):
    pair.view.tell("select", axes=("x4", "y4"), polygon=SQUARE)
    assert len(pair.chosen) == 0


def test_rows_can_be_chosen_without_a_mouse(pair):
    lat = FakeRun().latents("test", 5)
    pair.controls["choose"].value = "wrong"
    np.testing.assert_array_equal(pair.chosen.rows, lat.index[lat.log_probs.argmax(1) != lat.y])
    pair.controls["choose"].value = "strange"
    marginal = np.logaddexp.reduce(prior().log_prob(lat.z) + prior().log_weight, axis=1)
    assert set(pair.chosen.rows) == set(lat.index[np.argsort(marginal)[:20]])
    pair.controls["choose"].value = "sure"
    wrong = np.flatnonzero(lat.log_probs.argmax(1) != lat.y)
    surest = wrong[np.argsort(-lat.log_probs[wrong].max(1))][:20]
    assert set(pair.chosen.rows) == set(lat.index[surest])
    pair.controls["choose"].value = "unsure"
    assert set(pair.chosen.rows) == set(lat.index[np.argsort(lat.log_probs.max(1))[:20]])
    pair.controls["choose"].value = "none"
    assert len(pair.chosen) == 0


def test_chosen_rows_of_another_split_are_not_shown_as_ours(pair):
    pair.chosen.choose([100, 101], split="train")
    assert all(t.selectedpoints is None for t in of(pair.view, "points"))
    assert "train split" in pair._picks._table.value
    assert len(pair.selection) == 0


def test_linked_explorers_share_what_is_chosen(pair):
    other = LatentExplorer(FakeRun("dropmax"))
    pair.chosen.choose([103, 104])
    link(pair, other)
    assert other.chosen is pair.chosen
    assert sum(len(t.selectedpoints) for t in of(other.view, "points")) == 2
    other.controls["choose"].value = "wrong"
    lat = FakeRun().latents("test", 5)
    assert len(pair.selection) == 2 * (lat.log_probs.argmax(1) != lat.y).sum()
    assert isinstance(other.chosen, Selection)
    assert Chosen is Selection


def test_a_click_keeps_a_sample_with_its_picture_and_neighbours(ui, runs):
    lat, split = runs[0].latents("test", 12), runs[0].split("test")
    places = np.flatnonzero(lat.y == 5)
    ui.view.tell("click", trace=number_of(ui, "points", 5), point=2, x=0.0, y=0.0)
    row = int(lat.index[places[2]])
    told = ui._picks._picture.value
    assert f"row {row}: 5, predicted" in told
    assert sample_of(split, row).image in told
    near = np.argsort(np.linalg.norm(lat.z - lat.z[places[2]], axis=1))[1]
    assert f"row {lat.index[near]}," in told
    pins = of(ui.view, "pinned")
    assert len(pins) == 2  # the same sample in both runs
    point = ui.sources[0].projection(("pca",), "test")(lat.z[places[2]][None])[0]
    np.testing.assert_allclose([pins[0].x[0], pins[0].y[0]], point, atol=1e-5)
    bars = ui._picks._bars.data
    np.testing.assert_allclose(bars[0].x, np.exp(lat.log_probs[places[2]]), atol=1e-6)
    ui.reset()
    assert not of(ui.view, "pinned")
    assert ui._picks._pin.layout.display == "none"


def test_pointing_shows_what_stands_behind_a_latent(pair):
    lat = FakeRun().latents("test", 5)
    tips = []
    pair.view.send = lambda content, buffers=None: tips.append(content)
    pair.view.tell("hover", trace=number_of(pair, "points", 1), point=0, x=0.0, y=0.0)
    row = lat.index[lat.y == 1][0]
    assert tips[-1]["kind"] == "tip"
    assert f"row {row}, <b>bee</b>" in tips[-1]["text"]  # text, which the page does not parse
    seen = len(tips)
    pair.view.tell("hover", trace=number_of(pair, "anticipated", 1), point=0, x=0.0, y=0.0)
    assert len(tips) == seen


def test_markup_in_names_and_samples_stays_text(runs):
    split = Split(np.ones((2, 3), np.int32), np.arange(2), texts=("<i>one</i>", "two"), kind="text")
    assert sample_of(split, 0).text == "<i>one</i>"
    pair = LatentExplorer([FakeRun("softmax"), FakeRun("<script>")])
    pair.view.tell("click", trace=number_of(pair, "points", 1), point=0, x=0.0, y=0.0)
    pair.chosen.choose([100])
    shown = pair._picks._picture.value + pair._picks._table.value
    assert "<script>" not in shown
    assert "<b>bee</b>" not in shown
    assert html.escape("<b>bee</b>") in shown


def test_a_polygon_holds_what_is_inside_it():
    rng = np.random.default_rng(0)
    points = rng.uniform(-2, 2, (500, 2))
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    radius = np.where(np.arange(60) % 2, 1.5, 0.7)  # a star, which is not convex
    star = radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    # The oracle: seen from inside, the corners turn once around; from outside, not at all.
    corners = star[None] - points[:, None]
    angles = np.arctan2(corners[..., 1], corners[..., 0])
    turns = np.diff(angles, axis=1, append=angles[:, :1])
    turns = (turns + np.pi) % (2 * np.pi) - np.pi
    np.testing.assert_array_equal(within(points, star), np.abs(turns.sum(1)) > np.pi)


# ---------------------------------------------------------------- directions


def test_a_direction_follows_the_explorer_above_it():
    run = FakeRun("variational", 4)
    ui = LatentExplorer(run)
    below = ui.directions
    assert "view" not in below.bound.__dict__  # nothing before it is opened
    below.controls["direction"].value = ("axis", 1)
    first = np.concatenate([t.y for t in of(below.view, "empirical")])
    ui.controls["epoch"].value = 0
    assert not np.array_equal(first, np.concatenate([t.y for t in of(below.view, "empirical")]))
    ui.controls["classes"].value = (2,)
    assert len(of(below.view, "empirical")) == 1


def test_a_direction_has_a_static_figure_of_its_own():
    ui = DirectionExplorer(FakeRun("variational", 3))
    fig = ui.figure(directions=[("axis", 0), ("means", 0, 1)])
    assert len(fig.frames) == 3
    assert len(fig.layout.updatemenus) == 2
    assert len(fig.to_json()) < 1e6
    both = DirectionExplorer([FakeRun("softmax", 3), FakeRun("variational", 3)]).figure()
    headings = [b["args"][1]["annotations[0].text"] for b in both.layout.updatemenus[1].buttons]
    assert ["softmax" in text for text in headings] == [True, False]
    assert not any(frame.layout.to_plotly_json() for frame in both.frames)
    alone = DirectionExplorer((latents(), None))
    assert all(np.isnan(t.y).all() for t in of(alone.view, "anticipated"))


def test_every_control_at_both_ends_and_in_the_middle_draws(ui):
    for name, control in ui.controls.items():
        values = [value for _, value in getattr(control, "options", ())] if (
            name not in ("runs", "classes", "epoch")
        ) else []  # fmt: skip
        if name == "turn":
            values = [0, 45, 89]
        if name == "epoch":
            values = list(control.options)
        for value in values:
            control.value = value
            assert ui.bound.message.layout.display == "none", ui.bound.message.value
            assert len(ui.view.data) > 10
        ui.reset()


def test_a_law_is_needed_to_choose_the_least_likely():
    ui = LatentExplorer(latents())
    with pytest.raises(InputError, match="no law"):
        ui.controls["choose"].value = "strange"


# ---------------------------------------------------------- colours, finding, coming back


def test_points_are_coloured_on_one_scale_for_all_panels(pair):
    explorer = pair
    explorer.controls["color"].value = "entropy"
    shown = [t for t in explorer.view.data if (t.meta or {}).get("layer") == "points"]
    scales = {(t.marker.cmin, t.marker.cmax) for t in shown}
    assert len(scales) == 1
    lat = explorer.views()[0].lat
    entropy = row_values(lat, "entropy").values
    first = shown[0]
    k = first.meta["class"]
    assert np.allclose(first.marker.color, entropy[lat.y == k], atol=1e-6)
    both = np.concatenate([row_values(v.lat, "entropy").values for v in explorer.views()])
    assert np.allclose(next(iter(scales)), np.percentile(both, [1, 99]), rtol=1e-5)
    bars = [s for s in explorer.view.layout.shapes if s.xref == "paper"]
    assert len(bars) == 24
    explorer.controls["color"].value = "right"
    assert any("wrong · " in a.text for a in explorer.view.layout.annotations)


def test_the_colour_of_the_points_goes_into_the_static_figure(pair):
    explorer = pair
    explorer.controls["color"].value = "confidence"
    figure = explorer.figure()
    points = [t for t in figure.data if (t.meta or {}).get("layer") == "points"]
    assert points[0].marker.cmax is not None
    assert len(figure.layout.shapes) == 24


def test_found_rows_are_chosen_and_stay_while_epochs_move(pair):
    explorer = pair
    explorer.controls["find"].value = "not right"
    lat = explorer.views()[0].lat
    wrong = np.sort(lat.index[lat.log_probs.argmax(1) != lat.y])
    assert np.array_equal(explorer.chosen.rows, wrong)
    assert explorer.controls["choose"].value == "found"
    epoch = explorer.controls["epoch"]
    epoch.value = explorer.sources[0].epochs[0]
    assert epoch.value != explorer.sources[0].epochs[-1]
    assert np.array_equal(explorer.chosen.rows, wrong)
    explorer.controls["only_chosen"].value = True
    for view in explorer.views():
        assert set(view.lat.index[view.rows]) == set(wrong)
    explorer.controls["find"].value = "no such row"
    assert "no row matches" in explorer.bound.message.value
    assert np.array_equal(explorer.chosen.rows, wrong)


def test_rows_are_added_and_taken_away(pair):
    explorer = pair
    names = explorer.sources[0].class_names
    lat = explorer.views()[0].lat
    of = [set(lat.index[lat.y == k].tolist()) for k in (0, 1)]
    explorer.controls["find"].value = names[0]
    explorer.controls["combine"].value = "add"
    explorer.controls["find"].value = names[1]
    assert set(explorer.chosen.rows.tolist()) == of[0] | of[1]
    explorer.controls["combine"].value = "remove"
    explorer.controls["find"].value = names[0]
    assert set(explorer.chosen.rows.tolist()) == of[1]


def test_the_legend_counts_rows_and_those_that_are_chosen(pair):
    explorer = pair
    lat = explorer.views()[0].lat
    keys = [t.name for t in explorer.view.data if (t.meta or {}).get("layer") == "key"]
    assert keys[0] == f"{lat.class_names[0]} · {(lat.y == 0).sum()}"
    explorer.controls["find"].value = "not right"
    wrong = (lat.y == 0) & (lat.log_probs.argmax(1) != 0)
    keys = [t.name for t in explorer.view.data if (t.meta or {}).get("layer") == "key"]
    assert keys[0] == f"{lat.class_names[0]} · {wrong.sum()} of {(lat.y == 0).sum()}"


def test_chosen_rows_are_saved_by_the_page(pair, monkeypatch):
    explorer = pair
    explorer.controls["find"].value = "not right"
    saved = []
    monkeypatch.setattr(explorer.view, "download", lambda *content: saved.append(content))
    explorer._picks.download("CSV")
    explorer._picks.download("Parquet")
    (name, csv, _), (other, parquet) = saved
    assert (name, other) == ("chosen_test.csv", "chosen_test.parquet")
    assert pd.read_csv(io.BytesIO(csv)).row.tolist() == explorer.selection.row.tolist()
    pd.testing.assert_frame_equal(pd.read_parquet(io.BytesIO(parquet)), explorer.selection)


def test_a_state_comes_back_through_json(pair):
    explorer = pair
    explorer.controls["color"].value = "entropy"
    explorer.controls["anticipated"].value = False
    explorer.controls["classes"].value = explorer.controls["classes"].value[:3]
    explorer.controls["find"].value = "not right"
    state = json.loads(json.dumps(explorer.state))
    other = LatentExplorer([FakeRun("softmax"), FakeRun("variational")])
    other.state = state
    assert other.state == explorer.state | {"find": "", "choose": other.state["choose"]}
    assert np.array_equal(other.chosen.rows, explorer.chosen.rows)
    assert other.shown.classes == explorer.shown.classes
    with pytest.raises(InputError, match="did you mean 'color'"):
        other.state = {"colr": "entropy"}
    with pytest.raises(InputError, match="a state of another explorer"):
        other.state = {"color": "own:absent"}


def test_a_state_is_read_from_a_file_and_seen_in_a_page_without_a_kernel(pair, tmp_path):
    pair.chosen.choose(pair.views()[0].lat.index[[3, 5, 8]])
    pair.controls["color"].value = "entropy"
    file = tmp_path / "view.json"
    file.write_text(json.dumps(pair.state))
    other = LatentExplorer([FakeRun("softmax"), FakeRun("variational")])
    other.state = str(file)
    assert other.state == pair.state
    still = other.figure(frames=6)
    points = [t for t in still.data if t.visible and t.meta["layer"] == "points"]
    found = [t.customdata[list(t.selectedpoints), 0] for t in points]
    rows = np.concatenate(found).tolist()
    assert sorted(rows) == sorted([*pair.chosen.rows.tolist()] * 2)
    other.state = {}  # that of a notebook whose reader wants none
    assert other.state == pair.state
    for wrong, said in ((str(file) + "x", "No such file"), ("{", "is not JSON"), ("[]", "No such")):
        with pytest.raises(InputError, match=said):
            other.state = wrong


def test_a_lasso_adds_or_takes_away(pair):
    lat = FakeRun().latents("test", 5)
    left, low = lat.index[lat.z[:, 0] < 0], lat.index[lat.z[:, 1] < 0]
    far = 100.0
    pair.view.tell(
        "select", axes=("x", "y"), polygon=far * np.array([[-1, -1], [0, -1], [0, 1], [-1, 1]])
    )
    below = far * np.array([[-1, -1], [1, -1], [1, 0], [-1, 0]])
    pair.view.tell("select", axes=("x", "y"), polygon=below, combine="add")
    np.testing.assert_array_equal(pair.chosen.rows, np.union1d(left, low))
    pair.view.tell("select", axes=("x", "y"), polygon=below, combine="remove")
    np.testing.assert_array_equal(pair.chosen.rows, np.setdiff1d(left, low))


def test_few_points_in_view_are_named(pair):
    lat = FakeRun().latents("test", 5)
    inside = (np.abs(lat.z - lat.z[7]) < 0.4).all(1)
    assert 0 < inside.sum() < 20 < len(lat)
    window = tuple((float(v) - 0.4, float(v) + 0.4) for v in lat.z[7])
    pair.view.tell("viewport", axes=("x2", "y2"), range=window)
    (named,) = of(pair.view, "labels")
    assert named.xaxis == "x2"
    assert [int(text.split(":")[0]) for text in named.text] == lat.index[inside].tolist()
    np.testing.assert_allclose(named.x, lat.z[inside, 0], rtol=1e-6)
    pair.view.tell("viewport", axes=("x2", "y2"), range=((-99.0, 99.0), (-99.0, 99.0)))
    assert of(pair.view, "labels") == []

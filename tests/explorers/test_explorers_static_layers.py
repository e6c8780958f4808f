"""The static LatentExplorer: what lies beneath the points, and the grand tour, without a kernel."""

import contextlib
import json

import pytest
from browser import open_page
from fake_runs import FakeRun

import vcviz
from vcviz.base.errors import InputError
from vcviz.explorers import LatentExplorer

EPOCHS = (0, 6, 12)


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


@pytest.fixture(scope="module")
def figure(runs):
    return LatentExplorer(runs).figure(axes=[("pca",), ("pair", 0, 1)])


def beneath(fig):
    """Return number -> kind of the traces that the list shows one kind of."""
    found = {i: (trace.meta or {}).get("beneath") for i, trace in enumerate(fig.data)}
    return {i: kind for i, kind in found.items() if kind}


def pictures(fig, kind):
    """Return the numbers of a kind's pictures: view by view, panel by panel."""
    return [i for i, k in beneath(fig).items() if k == kind and fig.data[i].type == "image"]


def source_at(fig, step, number):
    frame = fig.frames[step]
    if number in frame.traces:
        return frame.data[frame.traces.index(number)].source
    return fig.data[number].source


def live(runs, epoch, kind):
    """Return the pictures that the live figure shows of a kind."""
    ui = LatentExplorer(runs)
    ui.bound.set(epoch=epoch, backdrop=kind)
    return [t.source for t in ui.view.data if (t.meta or {}).get("layer") == kind]


def test_a_list_shows_one_backdrop_at_a_time(figure):
    menu = figure.layout.updatemenus[-1]
    labels = [button.label for button in menu.buttons]
    assert labels == [
        "Beneath: nothing",
        "Beneath: decision regions",
        "Beneath: critic: too many, too few",
        "Beneath: out-of-distribution score",
    ]
    kinds = beneath(figure)
    assert menu.active == 0
    assert all(figure.data[i].opacity == 0 for i in kinds)
    for button, wanted in zip(menu.buttons, ("none", "regions", "log_ratio", "ood"), strict=True):
        change, numbers = button.args
        assert list(numbers) == list(kinds)
        on = [kind == wanted for kind in kinds.values()]
        assert change["opacity"] == [float(one) for one in on]
        bars = [figure.data[i].meta["layer"] == "bar" for i in kinds]
        assert change["marker.showscale"] == [a and b for a, b in zip(on, bars, strict=True)]
    for switch in figure.layout.updatemenus[2:-1]:
        assert not set(switch.buttons[0].args[2]) & set(kinds)


@pytest.mark.parametrize("kind", ["regions", "log_ratio", "ood"])
@pytest.mark.parametrize("step", [0, 1, 2])
def test_every_epoch_has_what_the_live_figure_shows(figure, runs, kind, step):
    shown = [source_at(figure, step, number) for number in pictures(figure, kind)]
    assert len(shown) == 4  # two views of two panels
    clear = [source for source in shown if len(source) < 200]
    there = [source for source in shown[:2] if len(source) > 200]
    assert there == live(runs, EPOCHS[step], kind)
    if kind == "regions":
        assert not clear
    elif step < 2:
        assert len(clear) == 4  # of the trained model alone
    else:
        assert len(clear) == (2 if kind == "log_ratio" else 0)  # softmax has no critic


def test_what_is_not_there_is_said(figure):
    told = [i for i in beneath(figure) if figure.data[i].meta["layer"] == "remarks"]
    texts = {figure.data[i].text[0] for i in told}
    assert {"no critic", "line: 95 % of the known inside"} <= texts
    first = figure.frames[0]
    texts = {first.data[list(first.traces).index(i)].text[0] for i in told if i in first.traces}
    assert "critic: of the trained model, on linear axes" in texts


def test_a_tour_is_a_slider_of_its_own(runs):
    fig = LatentExplorer(runs).figure(slider="turn", frames=7)
    assert len(fig.frames) == 7
    assert [step.label for step in fig.layout.sliders[0].steps][:2] == ["0", "15"]
    source = LatentExplorer(runs).sources[0]
    lat = runs[0].latents("test", 12)
    for frame, turn in zip(fig.frames, (0, 15, 30), strict=False):
        points = source.tour("test", 90)[turn](lat.z)
        number = next(i for i, t in enumerate(fig.data) if (t.meta or {}).get("class") == 4)
        (moved,) = [t for i, t in zip(frame.traces, frame.data, strict=True) if i == number]
        assert set(moved.x.round(4)) <= set(points[lat.y == 4, 0].astype("f4").round(4))
    assert len(fig.to_json()) < 1_000_000
    with pytest.raises(InputError, match="no grand tour"):
        LatentExplorer(FakeRun()).figure(slider="turn")
    with pytest.raises(InputError, match="unknown slider 'epoc'; did you mean 'epoch'"):
        LatentExplorer(runs).figure(slider="epoc")


@pytest.mark.browser
def test_a_page_shows_the_backdrop_that_is_chosen_at_every_epoch(figure, tmp_path, chromium):
    path = tmp_path / "figure.html"
    figure.write_html(path, auto_play=False)
    seen = """() => document.querySelector('.js-plotly-plot')._fullData
        .filter(t => t.visible === true && t.opacity > 0 && t.meta?.beneath && t.type === 'image')
        .map(t => [t.meta.beneath, t.source])"""
    layout = "document.querySelector('.js-plotly-plot').layout"
    bars = ".js-plotly-plot .colorbar"
    with open_page(chromium, path, height=1100) as (page, watch):
        from playwright.sync_api import TimeoutError

        page.wait_for_selector(".js-plotly-plot .main-svg")

        def insist(act, arrived):
            """Act until it is seen: a click while plotly draws its controls anew is lost."""
            for _ in range(20):
                with contextlib.suppress(TimeoutError):
                    act()
                    page.wait_for_function(f"() => {arrived}", timeout=5000)
                    return
            raise AssertionError(arrived)

        def choose(menu, option):
            def act():
                page.locator(".updatemenu-header").nth(menu).click(timeout=5000)
                page.locator(".updatemenu-dropdown-button").nth(option).click(timeout=5000)

            insist(act, f"{layout}.updatemenus[{[1, 5][menu]}].active === {option}")

        def shows(kind, step, view=0):
            wanted = [
                [kind, source_at(figure, step, number)]
                for number in pictures(figure, kind)[2 * view : 2 * view + 2]
            ]
            page.wait_for_function(f"w => JSON.stringify(({seen})()) === w", arg=as_json(wanted))

        def slide(step):
            def act():
                rail = page.locator(".slider-rail-touch-rect").bounding_box(timeout=5000)
                share = (0.001, 0.5, 0.999)[step]
                x, y = rail["x"] + share * rail["width"], rail["y"] + rail["height"] / 2
                page.mouse.click(x, y)

            insist(act, f"{layout}.sliders[0].active === {step}")

        assert page.evaluate(seen) == []
        assert page.locator(bars).count() == 0
        choose(1, 1)
        shows("regions", 2)
        slide(0)
        shows("regions", 0)
        choose(0, 1)  # other axes: it stays chosen
        shows("regions", 0, view=1)
        choose(1, 2)
        slide(2)
        shows("log_ratio", 2, view=1)
        page.locator(bars).first.wait_for(state="attached")
        choose(1, 0)
        page.wait_for_function(f"() => !({seen})().length")
        page.wait_for_function(f"() => !document.querySelector('{bars}')")
        assert not watch.requests
        assert not watch.errors


def as_json(value):
    return json.dumps(value, separators=(",", ":"))

"""Scoreboards: the rule for claims, tuning, and tables that are rebuilt from run folders."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy.stats import ttest_1samp

import vcviz
from vcviz import InputError, report
from vcviz.explorers import ScoreboardExplorer
from vcviz.figures.scoreboard import claims_spec, curve_points, curves_spec, scores_spec
from vcviz.records import Estimate, Scoreboard
from vcviz.records.numbers import title
from vcviz.studies import load_scoreboard, read_scoreboard_plan
from vcviz.studies.reports.scoreboard_page import _notes, markdown
from vcviz.studies.scoreboards import count_runs, plan_of, run_scoreboard
from vcviz.studies.scoreboards.board import judged
from vcviz.studies.scoreboards.plan import Claim, as_plan, merged, sources
from vcviz.studies.scoreboards.runs import _best, candidates, config

ROOT = Path(vcviz.__file__).parent.parent


# ---------------------------------------------------------------- the rule


def test_numbers_of_any_attack_are_shown():
    names = ["balanced_accuracy", "corrupted_accuracy", "corrupted_accuracy_1", "near_auroc"]
    names += [f"new_one_{part}" for part in ("accuracy_0.1", "accuracy", "gates_failed")]
    values = {"t": {"a": {"accuracy": np.ones(2)} | {name: np.ones(2) for name in names}}}
    board = Scoreboard("c", {"t": "T"}, {"a": "softmax"}, values, (0, 1), {}, {"a": 1}, ())
    said = [note["text"] for note in curves_spec(board, "t")["layout"]["annotations"]]
    assert said == ["<b>accuracy, corrupted</b>", "<b>accuracy under NEW-ONE</b>"]
    groups = ScoreboardExplorer(board).controls["numbers"].options
    assert [name for name, _ in groups][-2:] == ["shift and attacks", "strangers"]
    rows = [
        row.split(" | ")[0] for row in markdown(board, read_scoreboard_plan("digits")).split("\n")
    ]
    at = rows.index("| accuracy, corrupted ↑")
    assert rows[at + 1 : at + 3] == [
        "| accuracy, NEW-ONE in L∞, mean over ε ↑", "| gates failed, NEW-ONE ↓",
    ]  # fmt: skip


@pytest.mark.parametrize("shift", [-0.2, 0.0, 0.05, 0.3])
def test_a_verdict_is_a_paired_t_test(rng, shift):
    other = rng.standard_normal(6)
    mine = other + shift + 0.1 * rng.standard_normal(6)
    verdict = judged(
        "c", claim(), "t", {"a": {"accuracy": mine}, "b": {"accuracy": other}}, "A", "B"
    )
    test = ttest_1samp(mine - other, 0.0)
    assert verdict.outcome == (
        "undecided" if test.pvalue > 0.05 else "held" if test.statistic > 0 else "not held"
    )
    low, high = test.confidence_interval(0.95)
    assert np.allclose([verdict.gain.value - verdict.gain.reach, low], low)
    assert np.isclose(verdict.gain.value + verdict.gain.reach, high)


def test_of_an_error_less_is_better_and_margin_and_factor_count():
    values = {
        "a": {"ece": np.array([0.04, 0.05, 0.045])},
        "b": {"ece": np.array([0.1, 0.11, 0.105])},
    }
    assert judged("c", claim(measure="ece"), "t", values, "A", "B").outcome == "held"
    halved = judged("c", claim(measure="ece", factor=0.5), "t", values, "A", "B")
    assert np.isclose(halved.gain.value, (0.5 * 0.105) - 0.045)
    assert halved.outcome == "held"
    third = judged("c", claim(measure="ece", factor=0.3), "t", values, "A", "B")
    assert third.outcome == "not held"
    for margin, outcome in ((0.05, "held"), (0.07, "not held")):
        wanted = claim(measure="ece", margin=margin)
        assert judged("c", wanted, "t", values, "A", "B").outcome == outcome
    worse = judged("c", claim(measure="ece", better="higher"), "t", values, "A", "B")
    assert worse.outcome == "not held"


def test_scores_that_are_worse_than_chance_are_named():
    def drawn(*aurocs: float) -> dict:
        return {"near_auroc": np.array(aurocs), "accuracy": np.array([0.1, 0.1, 0.1])}

    values = {
        "t": {"a": drawn(0.3, 0.31, 0.3), "b": drawn(0.3, 0.9, 0.2)},
        "u": {"a": drawn(1, 1, 1)},
    }
    heads = {"a": "softmax", "b": "VC"}
    board = Scoreboard("c", {"t": "T", "u": "U"}, heads, values, (0, 1, 2), {}, {"a": 1}, ())
    assert _notes(board, "t").endswith(": AUROC, near, max p of softmax (0.303 ± 0.014).")
    assert _notes(board, "t").startswith("Worse than chance")
    assert _notes(board, "u") == ""
    text = markdown(board, read_scoreboard_plan("digits"))
    assert text.count("Worse than chance") == 1


def test_only_seeds_that_both_have_are_compared():
    values = {
        "a": {"accuracy": np.array([0.9, np.nan, 0.92, 0.95])},
        "b": {"accuracy": np.array([0.8, 0.1, np.nan, 0.86])},
    }
    gain = judged("c", claim(), "t", values, "A", "B").gain
    assert gain.n == 2
    assert np.isclose(gain.value, (0.1 + 0.09) / 2)


def test_one_seed_decides_nothing():
    one = Estimate.of([0.4])
    assert (one.above(0.0), f"{one:.2f}") == ("undecided", "0.40")
    assert Estimate.of([0.4, 0.4]).above(0.0) == "held"
    with pytest.raises(InputError, match="one number per seed"):
        Estimate.of([])


def test_half_of_all_intervals_at_the_truth_are_not_needed_one_in_twenty_misses(rng):
    drawn = rng.standard_normal((4000, 5))
    outcomes = [Estimate.of(row).above(0.0) for row in drawn]
    assert abs(np.mean([o != "undecided" for o in outcomes]) - 0.05) < 0.012


# ---------------------------------------------------------------- tuning


def test_tuning_takes_the_lowest_score_that_is_accurate_enough():
    scores = np.array([[0.05, 0.80], [0.01, 0.70], [0.03, 0.79], [0.02, 0.785]])
    assert _best(scores, -np.inf) == 1
    assert _best(scores, 0.79) == 2
    assert _best(scores, 0.9) == 0


def test_every_head_has_its_own_settings_over_those_of_task_and_plan():
    plan = as_plan(
        {
            "title": "t",
            "settings": {"epochs": 3, "encoder_options": {"hidden": [8]}},
            "seeds": [0],
            "heads": {
                "a": {"title": "A", "settings": {"head": "softmax"}, "tune": {"lr": [0.1, 0.2]}},
                "b": {"title": "B", "settings": {"head": "dropmax", "head_options.retain": 0.3}},
            },
            "tasks": {
                "d": {"title": "D", "settings": {"encoder_options.dropout": 0.1, "epochs": 5}}
            },
        },
        "here",
    )
    assert candidates(plan, "a") == [{"lr": 0.1}, {"lr": 0.2}]
    assert candidates(plan, "b") == [{}]
    found = config(plan, "d", "b", {}, 7, tuning=True)
    assert (found.epochs, found.seed, found.validation) == (5, 7, 0.2)
    assert found.encoder_options == {"hidden": [8], "dropout": 0.1}
    assert found.head_options == {"retain": 0.3}
    assert config(plan, "d", "a", {"lr": 0.2}, 0).lr == 0.2
    assert count_runs(plan) == (2, 2)


def test_a_profile_goes_over_the_plan_and_null_removes():
    assert merged({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": None, "e": 4}, "d": [5]}) == {
        "a": {"c": 2, "e": 4},
        "d": [5],
    }


@pytest.mark.parametrize("profile", ["quick", "night", "full"])
def test_the_published_plan_is_sound(profile, tmp_path):
    data = yaml.safe_load((ROOT / "benchmarks" / "scoreboard.yaml").read_text())["data"]
    for name in data:
        (tmp_path / name).mkdir()
    plan = read_scoreboard_plan(ROOT / "benchmarks" / "scoreboard.yaml", profile, data=tmp_path)
    tuning, compared = count_runs(plan)
    assert {head.settings["head"] for head in plan.heads.values()} == set(vcviz.HEADS)
    assert len(plan.seeds) >= 5
    assert compared == len(plan.heads) * sum(len(plan.seeds_of(task)) for task in plan.tasks)
    assert tuning > 0
    # Every head has as many settings to choose from.
    assert len({len(candidates(plan, head)) for head in plan.heads}) == 1
    for one in plan.claims.values():
        assert one.better or title(one.measure).better


def test_a_task_has_more_seeds_than_the_plan(tmp_path):
    small = {"dataset": "mixture", "epochs": 1, "dataset_options": {"n": 60}, "encoder": "mlp"}
    heads = {
        "a": {"title": "A", "settings": {"head": "softmax"}},
        "b": {"title": "B", "settings": {"head": "gaussian_mixture"}},
    }
    tasks = {
        "few": {"title": "few", "settings": small},
        "many": {"title": "many", "settings": {**small, "lr": 0.01}, "seeds": [0, 1, 2]},
    }
    claim = {"text": "B is better", "source": "here", "head": "b", "against": "a",
             "measure": "accuracy", "tasks": ["few", "many"]}  # fmt: skip
    plan = as_plan(
        {"title": "t", "seeds": [0, 1], "heads": heads, "tasks": tasks, "claims": {"c": claim}},
        "here",
    )
    assert plan.seeds_in_words == "2 or 3"
    assert count_runs(plan) == (0, 10)
    board = run_scoreboard(plan, out=tmp_path / "board", workers=0, progress=False)
    assert board.missing == ()
    assert [v.gain.n for v in board.verdicts] == [2, 3]


def test_data_are_taken_from_the_folder_that_has_them(tmp_path):
    (tmp_path / "mnist").mkdir()
    plan = read_scoreboard_plan(ROOT / "benchmarks" / "scoreboard.yaml", data=tmp_path)
    assert sources(plan, ["data:mnist", {"a": "data:trec6"}]) == [
        f"path:{tmp_path / 'mnist'}",
        {"a": "hub:CogComp/trec"},
    ]
    with pytest.raises(InputError, match=r"does not say where \w+ is; give a folder .* --data"):
        count_runs(plan)
    with pytest.raises(InputError, match="unknown data of the plan 'mnits'; did you mean 'mnist'"):
        sources(plan, "data:mnits")


# ---------------------------------------------------------------- a whole one


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("board") / "digits"
    run_scoreboard("digits", profile="quick", out=out, workers=0, progress=False)
    return out


def test_the_numbers_are_those_of_the_runs(folder):
    board = load_scoreboard(folder)
    assert board.missing == ()
    assert list(board.tasks) == ["digits", "digits_100"]
    for task in board.tasks:
        for head in board.heads:
            plan, chosen = plan_of(folder)
            for k, seed in enumerate(board.seeds):
                name = config(plan, task, head, chosen[task][head], seed).default_name
                run = vcviz.load_run(folder / "runs" / name)
                assert board.values[task][head]["ece"][k] == run.metrics["ece"]
    assert {"corrupted_ece_5", "apgd_accuracy", "near_auroc", "train_energy"} <= set(
        board.numbers("digits")
    )


def test_what_was_chosen_has_the_lowest_validation_score(folder):
    plan, chosen = plan_of(folder)
    for head in plan.heads:
        scores = []
        for settings in candidates(plan, head):
            (seed,) = plan.tuning.seeds
            name = config(plan, "digits", head, settings, seed, tuning=True).default_name
            lat = vcviz.load_run(folder / "tuning" / name).latents("validation")
            scores.append(vcviz.metrics.negative_log_likelihood(lat.log_probs, lat.y))
        assert chosen["digits"][head] == candidates(plan, head)[int(np.argmin(scores))]
        assert chosen["digits_100"] == chosen["digits"]


def test_the_same_call_trains_nothing_twice_and_a_lost_run_only(folder, tmp_path):
    out = tmp_path / "copy"
    shutil.copytree(folder, out)
    lost, *kept = sorted(p for p in (out / "runs").iterdir() if (p / "scores.json").exists())
    before = {p: (p / "config.json").stat().st_mtime_ns for p in kept}
    wanted = json.loads((lost / "scores.json").read_text())["measures"]
    shutil.rmtree(lost)
    assert "it has not run" in load_scoreboard(out).missing[0]
    board = run_scoreboard("digits", profile="quick", out=out, workers=0, progress=False)
    assert board.missing == ()
    assert {p: (p / "config.json").stat().st_mtime_ns for p in kept} == before
    again = json.loads((lost / "scores.json").read_text())["measures"]
    for name, part in wanted.items():
        # Softmax's seeds were trained together and this run alone: equal but for rounding, which
        # may swap two rows in a ranking of 599 by 599, 2.8e-6 of an AUROC.
        assert again[name]["values"] == pytest.approx(part["values"], abs=1e-5, nan_ok=True)


def test_the_report_is_rebuilt_from_the_runs(folder, tmp_path):
    board = load_scoreboard(folder)
    text = report(folder, format="markdown", out=tmp_path / "a.md").read_text()
    for verdict in board.verdicts:
        line = next(
            row for row in text.splitlines()
            if row.startswith(f"| {verdict.text} ") and f"| {verdict.gain:+.4f}" in row
        )  # fmt: skip
        assert line.endswith(f"{verdict.outcome} |")
    accuracy = board.estimate("digits", "variational", "accuracy")
    assert f"{accuracy:.3f}" in text
    assert sum(line.startswith("| digits; digits, 100 rows |") for line in text.splitlines()) == 1
    page = report(folder, out=tmp_path / "a.html").read_text()
    assert page.count('class="figure"') == 4
    table = report(folder, format="csv", out=tmp_path / "a.csv").read_text()
    assert "accuracy" in table.splitlines()[0]
    assert "apgd_accuracy" in table.splitlines()[0]


def test_figures_show_the_record(folder):
    board = load_scoreboard(folder)
    spec = claims_spec(board)
    for trace in spec["data"]:
        outcome = trace["meta"]["layer"]
        assert len(trace["x"]) == sum(v.outcome == outcome for v in board.verdicts)
        standing = np.asarray(trace["x"])
        assert (np.abs(standing) <= 1).all() if outcome == "undecided" else True
        assert (standing > 1).all() if outcome == "held" else True
        assert (standing < -1).all() if outcome == "not held" else True
    drawn = scores_spec(board, "digits", ["accuracy", "nll"])["data"]
    seeds = [t for t in drawn if t["meta"]["layer"] == "seeds"]
    assert [t["x"].tolist() for t in seeds] == [
        board.values["digits"][head][number].tolist()
        for number in ("accuracy", "nll")
        for head in board.heads
    ]
    points = curve_points(board, "digits", "corrupted_ece")
    assert [x for x, _ in points] == [0, 1, 2, 3, 4, 5]
    lines = [t for t in curves_spec(board, "digits")["data"] if t["meta"]["layer"] == "mean"]
    assert lines[0]["y"][0] == pytest.approx(board.estimate("digits", "softmax", "accuracy").value)
    with pytest.raises(InputError, match="neither corruptions nor attacks"):
        curves_spec(board, "digits_100")
    with pytest.raises(InputError, match="unknown number of task 'digits' 'acuracy'"):
        scores_spec(board, "digits", ["acuracy"])


def test_the_explorer_goes_through_tasks_and_groups(folder):
    board = load_scoreboard(folder)
    explorer = ScoreboardExplorer(board)
    for name, control in explorer.controls.items():
        for _, value in control.options:
            explorer.bound.set(**{name: value})
            assert explorer.bound.message.layout.display == "none"
    explorer.reset()
    shown = [t for t in explorer.view.data if t.meta["layer"] == "seeds"]
    assert list(shown[0].x) == board.values["digits"]["softmax"]["accuracy"].tolist()
    figure = explorer.figure()
    assert len(figure.layout.updatemenus) == 1
    with pytest.raises(InputError, match="board must be a Scoreboard"):
        ScoreboardExplorer("digits")


# ---------------------------------------------------------------- what is wrong is said


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"taks": {}}, "unknown setting 'taks'; did you mean 'tasks'"),
        ({"seeds": []}, "seeds should be"),
        ({"tasks": {"digits": {"measures": {"atack": {}}}}}, "unknown measure 'atack'"),
        (
            {"tasks": {"digits": {"measures": {"attack": {"rows": 3, "epsilons": None}}}}},
            "'attack' needs the option epsilons",
        ),
        (
            {"tasks": {"digits_100": {"tuned_on": "digit"}}},
            "tuned on 'digit'; did you mean 'digits'",
        ),
        ({"claims": {"vc_ece": {"head": "vc"}}}, "unknown head of claim vc_ece 'vc'"),
        ({"claims": {"vc_ece": {"tasks": ["digts"]}}}, "unknown task of claim vc_ece 'digts'"),
        ({"heads": {"softmax": {"settings": {"hed": 1}}}}, "unknown setting 'hed'"),
        ({"tuning": {"keep": {"of": "sofmax"}}}, "unknown head that tuning keeps to 'sofmax'"),
        ({"heads": {"softmax": {"tune": {"lr": []}}}}, "lr should be"),
        (3, "profile odd in .* should be a mapping, is 3"),
    ],
)
def test_a_wrong_plan_is_refused_before_anything_starts(change, message, tmp_path):
    values = yaml.safe_load(
        (ROOT / "vcviz" / "studies" / "scoreboards" / "plans" / "digits.yaml").read_text()
    )
    path = tmp_path / "plan.yaml"
    path.write_text(yaml.safe_dump({**values, "profiles": {"odd": change}}, allow_unicode=True))
    with pytest.raises(InputError, match=message):
        run_scoreboard(path, out=tmp_path / "out", workers=0, progress=False)
    assert not (tmp_path / "out").exists()


def test_some_tasks_alone_bring_what_they_are_tuned_on_and_what_is_claimed_of_them():
    plan = read_scoreboard_plan("digits", tasks=["digits_100"])
    assert list(plan.tasks) == ["digits", "digits_100"]
    assert "het_noise" not in plan.claims
    assert plan.claims["vc_few"].tasks == ["digits_100"]
    with pytest.raises(InputError, match="unknown task 'digts'; did you mean 'digits'"):
        read_scoreboard_plan("digits", tasks=["digts"])


def test_an_unknown_profile_or_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"unknown profile of digits\.yaml 'fast'"):
        read_scoreboard_plan("digits", "fast")
    with pytest.raises(InputError, match="there is no plan"):
        read_scoreboard_plan(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="there is no scoreboard in"):
        load_scoreboard(tmp_path)


def test_what_is_of_a_file_is_refused_with_a_plan(tmp_path):
    for given in ({"profile": "quick"}, {"data": tmp_path}):
        with pytest.raises(InputError, match="profile and data are of a file"):
            run_scoreboard(read_scoreboard_plan("digits"), out=tmp_path / "out", **given)


@pytest.mark.parametrize(
    "damage",
    [
        {"chosen": {}},
        {"chosen": []},
        {"chosen": {"digits": {}}},
        {"chosen": {"digits": {"softmax": 3}, "digits_100": {}}},
        {"plan": []},
        {"format": "else"},
    ],
)
def test_a_damaged_scoreboard_is_said_to_be(folder, damage, tmp_path):
    values = json.loads((folder / "scoreboard.json").read_text())
    (tmp_path / "scoreboard.json").write_text(json.dumps(values | damage))
    with pytest.raises(InputError, match=r"scoreboard\.json: .*; run the scoreboard again"):
        load_scoreboard(tmp_path)


def claim(**changes) -> Claim:
    values = {"text": "a beats b", "source": "us", "head": "a", "against": "b",
              "measure": "accuracy", "tasks": ["t"]}  # fmt: skip
    return Claim(**values | changes)


def test_a_claim_needs_a_direction():
    values = {"a": {"odd": np.arange(3.0)}, "b": {"odd": np.arange(3.0)}}
    with pytest.raises(InputError, match="must say whether higher or lower odd is better"):
        judged("c", claim(measure="odd"), "t", values, "A", "B")


def test_a_board_without_numbers_cannot_be_explored():
    empty = Scoreboard("t", {"d": "D"}, {"a": "A"}, {"d": {"a": {}}}, (0,), {}, {"a": 1}, ())
    with pytest.raises(InputError, match="has no numbers yet"):
        ScoreboardExplorer(empty)

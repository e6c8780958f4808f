"""Every public function answers odd arrays rightly, or in one line of ours."""

import copy
import inspect

import numpy as np
import pytest
from front_doors import by_last_name
from hostile import BAD, SAME, WORSE, answer, assert_same, nan_places
from hostile_calls import CASES, Sizes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vcviz.base.errors import InputError

#: what takes no arrays: options, names, files, runs and other records, or widgets of runs
WITHOUT_ARRAYS = {
    "InputError", "Gate", "Gates", "RunConfig", "load_data", "load_strangers", "CORRUPTIONS",
    "encode_texts", "imbalance_option",
    "true_prior", "load_shapes", "train_segmenter", "temperature_study", "Classifier",
    "build_encoder", "build_head", "HEADS", "train", "train_heads", "train_grid",
    "build_law", "LAWS", "Run", "load_run", "list_runs", "last_linear",
    "prior_of", "SmoothError", "BrierParts", "attack_runs", "robustness_curves",
    "robustness_table", "corrupted_latents", "corruption_table", "differences", "decision_planes",
    "latent_fits", "ood_table", "pick_run", "posthoc_table", "revise_runs", 
    "reliability_curves", "information_table", "summarise", "plot_robustness", "plot_posthoc",
    "plot_latent_fit", "plot_sweep", "plot_history", "LatentExplorer", "DirectionExplorer",
    "CalibrationExplorer", "HeteroscedasticExplorer", "InformationExplorer", "PosthocExplorer",
    "AdversarialExplorer", "DropMaxExplorer", "link", "run_notebook", "report", "sweep",
    "NotebookError", "NotebookResult",
    "Estimate", "MEASURES", "Verdict", "labelled_by", "load_scoreboard", "measure", "noisy_labels",
    "read_scoreboard_plan", "run_scoreboard", "ScoreboardExplorer", "plot_claims",
    "plot_score_curves", "plot_scores", "Law", "SweepResult", "Crossing", "PosthocScores",
    "ClassAccuracy", "Information", "Selection", "Exploration", "bind",
    "STRANGERS", "DATASETS", "HeldOut", "LatentPanel", "LatentOptions",
    "available_values", "RowValues",
}  # fmt: skip

#: what public functions answer with, and panels, whose arrays those of their figures are tried with
HOLD_ARRAYS = {
    "ClassAccuracy", "Information", "PosthocScores", "Crossing", "RowValues", "LatentPanel",
    "LatentOptions",
}  # fmt: skip

CHANGES = {**SAME, **WORSE, **BAD}
SIZES = st.builds(
    Sizes, st.integers(1, 12), st.integers(2, 4), st.integers(1, 3), st.integers(0, 99)
)


def test_every_public_name_is_tried_or_takes_no_arrays() -> None:
    tried = {case.public for case in CASES.values()}
    new = set(by_last_name()) - tried - WITHOUT_ARRAYS
    assert not new, "add a call to hostile_calls.py, or its name to WITHOUT_ARRAYS"
    assert tried | WITHOUT_ARRAYS == set(by_last_name())
    assert not tried & WITHOUT_ARRAYS


@pytest.mark.parametrize("name", sorted(WITHOUT_ARRAYS - HOLD_ARRAYS))
def test_what_is_said_to_take_no_arrays_takes_none(name: str) -> None:
    value = by_last_name()[name]
    if callable(value) and name not in ("InputError",):
        kinds = [str(p.annotation) for p in inspect.signature(value).parameters.values()]
        assert not [kind for kind in kinds if "Array" in kind or "Tensor" in kind]


def _try(name: str, sizes: Sizes, which: int, change: str) -> None:
    case = CASES[name]
    arrays = case.arrays(sizes)
    place = sorted(arrays)[which % len(arrays)]
    rng = np.random.default_rng(sizes.seed)
    plain = answer(case.call, arrays)
    value = CHANGES[change](arrays[place], rng)
    given = {**arrays, place: value}
    before = copy.deepcopy(given)
    found = answer(case.call, given)
    assert repr(given) == repr(before), f"{name} changed what it was given"
    if change in WORSE:
        assert isinstance(found, InputError), f"{place} of {change} was taken"
    elif change in SAME:
        if not case.same or (change == "nested lists" and not case.lists):
            return
        if change in ("smaller", "half"):  # what they hold, in the usual type
            plain = answer(case.call, {**arrays, place: value.astype(arrays[place].dtype)})
        assert_same(found, plain, 0.03 if change == "half" else case.tolerance, change)
    elif not case.unknown and not isinstance(found, InputError):
        allowed = nan_places(plain) if not isinstance(plain, InputError) else 0
        assert nan_places(found) <= allowed, f"{change} of {place} made NaN"


def _search(name: str, examples: int) -> None:
    fewer = max(examples // 4, 1) if CASES[name].slow else examples

    @settings(
        max_examples=fewer,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(SIZES, st.integers(0, 9), st.sampled_from(sorted(CHANGES)))
    def tried(sizes: Sizes, which: int, change: str) -> None:
        _try(name, sizes, which, change)

    tried()


@pytest.mark.parametrize("name", CASES)
def test_an_odd_array_is_answered_rightly_or_refused_in_a_line(name: str) -> None:
    _search(name, 24)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_many_odd_arrays_are_answered_rightly_or_refused_in_a_line(name: str) -> None:
    _search(name, 400)

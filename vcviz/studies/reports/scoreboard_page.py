"""A scoreboard as Markdown, and as one HTML page that needs no kernel and no network."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from vcviz.base.errors import InputError
from vcviz.figures.scoreboard import plot_claims, plot_score_curves, plot_scores
from vcviz.records import Estimate, Scoreboard, Verdict
from vcviz.records.numbers import ATTACKED, fitting, title
from vcviz.studies.reports.rendering import Figures, markdown_table, rendered
from vcviz.studies.scoreboards import Plan

#: patterns of the numbers in a task's table; those per severity and radius are drawn
SHOWN = (
    "accuracy", "accuracy_matched", "balanced_accuracy", "balanced_accuracy_shifted", "ece",
    "ece_matched", "smooth_ece", "ece_scaled", "nll", "nll_matched", "nll_scaled", "brier",
    "human_kl", "information", "corrupted_accuracy", "corrupted_ece", ATTACKED, r"\w+_gates_failed",
    "near_auroc", "near_auroc_density", "near_auroc_mahalanobis", "near_fpr95", "far_auroc",
    "far_auroc_density", "far_auroc_mahalanobis", "far_fpr95", "train_energy", "test_energy",
    "train_variance", "test_variance", "seconds",
)  # fmt: skip
#: of these the first few are drawn
_DRAWN = ("accuracy", "balanced_accuracy", "ece", "nll", "near_auroc", "apgd_accuracy")
_RULE = (
    "± is half of the 95 % t-interval over seeds. A claim has held on a task if the interval of "
    "the gain, paired by seed, lies above its margin; it has not held if the interval lies below; "
    "else it is undecided. By chance alone, one interval in forty would lie above, and one below. "
    "Where all seeds share their test rows, the interval is that of other trainings on these rows: "
    "on other rows of the same kind a gain may differ by more."
)


def markdown(board: Scoreboard, plan: Plan) -> str:
    """Return a scoreboard as Markdown."""
    parts = [f"# {board.title}", plan.about.strip(), f"{_how(board, plan)} {_RULE}"]
    for name, text, header, rows, _ in _sections(board):
        parts += [f"## {_plain(name)}", _table(header, rows), _plain(text)]
    if board.missing:
        parts += ["## Without a result", "\n".join(f"- {_plain(line)}" for line in board.missing)]
    return "\n\n".join(filter(None, parts)) + "\n"


def page(board: Scoreboard, plan: Plan) -> str:
    """Return a scoreboard as an HTML page."""
    figures = Figures()
    sections = [
        {
            "title": name,
            "text": text,
            "figures": [figures.place(figure) for figure in drawn],
            "header": header,
            "rows": rows,
        }
        for name, text, header, rows, drawn in _sections(board)
    ]
    return rendered(
        "scoreboard.html.j2",
        figures,
        title=board.title,
        about=plan.about.strip(),
        how=f"{_how(board, plan)} {_RULE}",
        sections=sections,
        missing=board.missing,
    )


Table = tuple[list[str], list[list[str]]]
Part = tuple[str, str, list[str], list[list[str]], Iterable[Any]]


def _sections(board: Scoreboard) -> Iterator[Part]:
    """Yield title, text, header and rows of each part, and its figures, drawn when asked for."""
    if board.verdicts:
        rows = [_claim(board, v) for v in board.verdicts]
        yield "Claims", _counted(board), _CLAIMS, rows, map(plot_claims, [board])
    for task, name in board.tasks.items():
        yield name, _text(board, task), *_scores(board, task), _drawn(board, task)
    yield "Settings that tuning chose", "", *_tuned(board), ()


def _how(board: Scoreboard, plan: Plan) -> str:
    tuning = plan.tuning
    kept = ""
    if tuning.keep is not None:
        kept = (
            f" among those whose accuracy there is at most {100 * tuning.keep.within:g} points "
            f"below that of {plan.heads[tuning.keep.of].title}"
        )
    tried = sorted(set(board.tried.values()))
    several = f"{tried[0]} to {tried[-1]}" if len(tried) > 1 else str(tried[0])
    return (
        f"{len(board.heads)} heads, {len(board.tasks)} tasks, {plan.seeds_in_words} seeds of data "
        f"and weights. Each head tried {several} setting{'' if tried[-1] == 1 else 's'}; what "
        f"was kept has the lowest mean {title(tuning.by).text.split(',')[0]} on held-out "
        f"training rows{kept}."
    )


_CLAIMS = ["claim", "said by", "their figures", "task", "head", "against", "gain", "outcome"]


def _claim(board: Scoreboard, v: Verdict) -> list[str]:
    mine, other = v.values
    number = title(v.measure).text
    times = "" if v.factor == 1 else f"{v.factor:g} × "
    digits = ".4f" if max(abs(mine.value), abs(other.value)) < 10 else ".2f"
    margin = f" (margin {v.margin:+g})" if v.margin else ""
    return [
        v.text,
        v.source,
        v.paper or "–",
        f"{board.tasks[v.task]}: {number}",
        f"{mine:{digits}}",
        f"{times}{other:{digits}}",
        f"{v.gain:+{digits}}{margin}",
        v.outcome,
    ]


def _counted(board: Scoreboard) -> str:
    counts = {o: sum(v.outcome == o for v in board.verdicts) for o in ("held", "not held")}
    n = len(board.verdicts)
    return (
        f"Of {n} comparisons {counts['held']} held, {counts['not held']} did not hold, "
        f"{n - sum(counts.values())} are undecided."
    )


def _scores(board: Scoreboard, task: str) -> Table:
    """Return the table of a task: a row per number, a column per head."""
    known = board.numbers(task)
    rows = []
    for number in fitting(SHOWN, known):
        said = title(number)
        arrow = {"higher": " ↑", "lower": " ↓", None: ""}[said.better]
        found = [board.estimate(task, head, number) for head in board.heads]
        rows.append([said.text + arrow, *(_cell(e) for e in found)])
    return ["", *board.heads.values()], rows


def _text(board: Scoreboard, task: str) -> str:
    """Return what stands beside the table of a task."""
    return " ".join(filter(None, (_predicting(board, task), _notes(board, task))))


def _predicting(board: Scoreboard, task: str) -> str:
    """Return which heads predict for other label frequencies than those of the test rows."""
    notes = [f"{board.heads[h]} ({note})" for h, note in board.label_notes.get(task, {}).items()]
    if not notes:
        return ""
    return (
        "Accuracy, NLL, Brier score and ECE of p(y|x) that is not for the label frequencies of the "
        f"test rows: {', '.join(notes)}."
    )


def _notes(board: Scoreboard, task: str) -> str:
    """Return what the numbers of a task do not say by themselves."""
    worse = [
        f"{title(number).text} of {name} ({_cell(estimate)})"
        for number in board.numbers(task)
        if "_auroc" in number
        for head, name in board.heads.items()
        if (estimate := board.estimate(task, head, number)) and estimate.above(0.5) == "not held"
    ]
    if not worse:
        return ""
    return (
        "Worse than chance, the interval lying below 0.5 (these scores take test rows for "
        f"strangers): {'; '.join(worse)}."
    )


def _cell(estimate: Estimate | None) -> str:
    if estimate is None:
        return "–"
    size = abs(estimate.value)
    return f"{estimate:{'.3f' if size < 10 else '.1f'}}"


def _tuned(board: Scoreboard) -> Table:
    """Return a row for every choice of settings, with the tasks that it holds for."""
    names: dict[tuple[str, ...], list[str]] = {}
    for task, chosen in board.chosen.items():
        row = tuple(_settings(chosen[head]) for head in board.heads)
        names.setdefault(row, []).append(board.tasks[task])
    rows = [["; ".join(tasks), *row] for row, tasks in names.items()]
    return ["for", *board.heads.values()], rows


def _settings(chosen: Mapping[str, Any]) -> str:
    return (
        ", ".join(
            f"{name.rpartition('.')[2]} {value if isinstance(value, str) else json.dumps(value)}"
            for name, value in chosen.items()
        )
        or "–"
    )


def _drawn(board: Scoreboard, task: str) -> Iterator[Any]:
    known = board.numbers(task)
    if numbers := [n for n in _DRAWN if n in known][:4]:
        yield plot_scores(board, task, numbers)
    try:
        yield plot_score_curves(board, task)
    except InputError:
        return  # it has neither corruptions nor attacks


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    plain = [[_plain(cell) for cell in line] for line in (header, *rows)]
    return markdown_table(plain[0], plain[1:]).rstrip()


def _plain(text: str) -> str:
    """Return a text that Markdown shows as it is, in one cell of a table."""
    return html.escape(" ".join(text.split()), quote=False).replace("|", "\\|")

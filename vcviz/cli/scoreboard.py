"""``vcviz scoreboard``: heads compared on several tasks, and what became of the claims."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def scoreboard(
    file: Annotated[Path, typer.Argument(help="YAML file with heads, tasks and claims.")],
    profile: Annotated[
        str | None, typer.Option(help="One of the file's profiles; default the first.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder with a dataset in each subfolder; default the Hub.")
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option(help="Only this task (and what it is tuned on); may be repeated."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the scoreboard.")] = Path("scoreboards"),
    workers: Annotated[int | None, typer.Option(min=0, help="Processes; default by cores.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of each.")] = 1,
    list_: Annotated[
        bool, typer.Option("--list", help="Say how many runs there are, and do none.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress bars.")] = False,
) -> None:
    """Compare heads by a plan of tasks and claims."""
    from vcviz.cli.table import text_table
    from vcviz.studies.reports import report
    from vcviz.studies.scoreboards import count_runs, read_scoreboard_plan, run_scoreboard

    plan = read_scoreboard_plan(file, profile, data=data, tasks=task)
    tuning, compared = count_runs(plan)
    if list_:
        typer.echo(
            f"{plan.title}: {len(plan.heads)} heads, {len(plan.tasks)} tasks, "
            f"{plan.seeds_in_words} seeds\n{tuning} runs for tuning, {compared} that are compared"
        )
        return
    board = run_scoreboard(plan, out=out, workers=workers, threads=threads, progress=not quiet)
    rows = [
        {
            "claim": v.text,
            "task": board.tasks[v.task],
            "gain": f"{v.gain:+.4f}",
            "outcome": v.outcome,
        }
        for v in board.verdicts
    ]
    if rows:
        typer.echo(text_table(rows))
    for format_ in ("markdown", "html"):
        typer.echo(report(out, format=format_))  # type: ignore[arg-type]

"""``vcviz course``: for lecturers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="For lecturers: grade hand-ins, print and export lessons.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress bars.")]
Runs = Annotated[Path, typer.Option(help="Folder of the runs that lessons share.")]


@app.command()
def grade(
    folder: Annotated[
        Path, typer.Argument(help="A notebook, or a folder of notebooks, for each student.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for grades.csv and grades.json.")] = Path(
        "grades"
    ),
    runs: Runs = Path("runs"),
    parameter: Annotated[
        list[str] | None,
        typer.Option("--parameter", "-p", metavar="NAME=VALUE", help="As it was handed out."),
    ] = None,
    timeout: Annotated[float, typer.Option(help="Longest time for an answer, in s.")] = 120,
    quiet: Quiet = False,
) -> None:
    """Score the checks of handed-in notebooks.

    Only answers are taken from them; they run in the lessons as they were handed out.
    """
    from vcviz.cli.table import text_table
    from vcviz.course.grading import grade as judge_all
    from vcviz.headless.assignments import parse_value, split_assignments

    parameters = {k: parse_value(v) for k, v in split_assignments(parameter or []).items()}
    scores = judge_all(
        folder, out=out, runs=runs, parameters=parameters, timeout=timeout, progress=not quiet
    )
    lessons = list(dict.fromkeys(score.lesson for score in scores))
    table = []
    for student in dict.fromkeys(score.student for score in scores):
        mine = [score for score in scores if score.student == student]
        by_lesson = {x: sum(s.score for s in mine if s.lesson == x) for x in lessons}
        table.append(
            {
                "student": student,
                **by_lesson,
                "score": sum(s.score for s in mine),
                "of": sum(s.points for s in mine),
                "errors": sum(s.state == "error" for s in mine),
            }
        )
    typer.echo(text_table(table))
    wrong: dict[tuple[str, str], list[str]] = {}
    for score in scores:
        if score.state == "error":
            wrong.setdefault((score.student, score.error), []).append(score.question)
    for (student, error), asked in wrong.items():
        typer.echo(f"{student}, {asked[0]}{' and more' * (len(asked) > 1)}: {error}")
    typer.echo(f"every check, and what it says: {out / 'grades.csv'}, {out / 'grades.json'}")


@app.command(name="print")
def print_(
    lessons: Annotated[
        list[str] | None, typer.Argument(help="Names or numbers of lessons; default all.")
    ] = None,
    for_: Annotated[
        str,
        typer.Option("--for", help="student (room to answer), lecturer (answers) or slides."),
    ] = "student",
    path: Annotated[
        int | None, typer.Option(help="The lessons for so many minutes: 45 or 90.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the PDFs.")] = Path("handouts"),
    runs: Runs = Path("runs"),
    quiet: Quiet = False,
) -> None:
    """Print lessons as PDFs; needs Chromium or Chrome."""
    from vcviz.course.handouts import chosen, print_lessons

    names = chosen(lessons or (), path)
    for made in print_lessons(names, for_, out=out, runs=runs, progress=not quiet):  # type: ignore[arg-type]
        typer.echo(made)


@app.command()
def nbgrader(
    lessons: Annotated[
        list[str] | None, typer.Argument(help="Names or numbers of lessons; default all.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the assignment.")] = Path("source/vcviz"),
) -> None:
    """Write lessons as source notebooks for nbgrader."""
    import nbformat

    from vcviz.course.handouts import chosen
    from vcviz.course.nbgrader import nbgrader_source
    from vcviz.headless.files import list_notebooks, read_notebook

    out.mkdir(parents=True, exist_ok=True)
    for name in chosen(lessons or ()):
        source = nbgrader_source(read_notebook(list_notebooks()[f"course/{name}"]))
        nbformat.write(source, out / f"{name}.ipynb")
        typer.echo(out / f"{name}.ipynb")

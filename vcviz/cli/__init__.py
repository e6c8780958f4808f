"""The ``vcviz`` command. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from vcviz import __version__
from vcviz.base.errors import InputError, RunWarning, SweepError, TrainingError
from vcviz.cli.course import app as course_app
from vcviz.cli.scoreboard import scoreboard
from vcviz.cli.sweep import sweep
from vcviz.cli.train import TrainCommand, train
from vcviz.headless.outcomes import NotebookError

if TYPE_CHECKING:
    from vcviz.runs import Run


class Commands(TyperGroup):
    """Commands whose foreseeable errors are one line on stderr."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command; status 2 for bad input, 1 for a run that failed, 130 for Ctrl-C."""
        try:
            return super().invoke(ctx)
        except InputError as error:
            _stop(str(error), 2)
        except NotebookError as error:
            # A parameter that only the library could judge is bad input all the same.
            _stop(str(error), 2 if error.is_bad_input else 1)
        except (TrainingError, SweepError) as error:
            _stop(str(error), 1)
        except OSError as error:
            if error.filename is None:
                raise
            _stop(f"{error.strerror}: {error.filename}", 2)
        except KeyboardInterrupt as interrupt:
            _stop("; ".join(["interrupted", *map(str, interrupt.args)]), 130)


app = typer.Typer(
    cls=Commands,
    help="See what a softmax classifier anticipates of its latents, and what it gets.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress bars.")]


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status."""
    app(args=argv, prog_name="vcviz")


@app.callback(invoke_without_command=True)
def _vcviz(
    ctx: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    if version:
        typer.echo(f"vcviz {__version__}")
    elif ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


@app.command()
def tour(
    out: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs"),
    reports: Annotated[Path, typer.Option(help="Folder of the page.")] = Path("reports"),
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of each run.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the runs.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:0 or mps.")] = "auto",
    open_page: Annotated[bool, typer.Option("--open", help="Open the page at the end.")] = False,
    quiet: Quiet = False,
) -> None:
    """Train three heads on digits and compare them: start here."""
    from vcviz.cli.table import text_table
    from vcviz.cli.tour import run_tour

    given = {} if epochs is None else {"epochs": epochs}
    made = run_tour(out=out, reports=reports, seed=seed, device=device, progress=not quiet, **given)
    page = Path(made.page).resolve()
    columns = ["head", "D", "accuracy", "ECE", "KL train", "KL test", "PGD accuracy"]
    typer.echo(text_table(made.table.reindex(columns=columns).to_dict("records")))
    typer.echo("KL: nats, of the latents from the law that the head anticipates")
    typer.echo(f"PGD: {made.table.attrs.get('attack', 'see the page')}")
    typer.echo(f"\nOpen the page in a browser; it needs no network:\n  {page.as_uri()}")
    typer.echo("Then go on with: vcviz lab (live widgets), vcviz train --help (your own data)")
    if open_page:
        typer.launch(page.as_uri())


app.command(cls=TrainCommand)(train)
app.command()(sweep)
app.command()(scoreboard)
app.add_typer(course_app, name="course")


@app.command()
def runs(
    folder: Annotated[Path, typer.Argument(help="Folder of the runs.")] = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with all settings.")] = False,
    fit: Annotated[bool, typer.Option("--fit", help="Add the latent fit; takes a while.")] = False,
    diff: Annotated[
        tuple[Path, Path] | None,
        typer.Option("--diff", metavar="A B", help="Show what differs between two runs instead."),
    ] = None,
) -> None:
    """List finished runs with their test numbers, or compare two."""
    from vcviz.cli.table import text_table
    from vcviz.runs import list_runs

    if diff is not None:
        from vcviz.runs import load_run
        from vcviz.studies.compare import differences

        pair = [path if path.is_dir() else folder / path for path in diff]
        table = differences(*map(load_run, pair))
        changes = table.astype(object).to_dict("records")
        if as_json:
            typer.echo(json.dumps(changes, indent=2, default=str))
        else:
            typer.echo(text_table(changes) or "nothing differs: settings, data, software, numbers")
        return

    with warnings.catch_warnings(record=True) as damaged:
        warnings.simplefilter("always", RunWarning)
        found = list_runs(folder)
    for warning in damaged:
        typer.echo(f"vcviz: {warning.message}", err=True)
    rows = [_row(run) for run in found]
    if not any(row["labels"] for row in rows):
        for row in rows:  # all numbers are for the label frequencies of their own test rows
            del row["labels"]
    if fit and found:
        from vcviz.studies.compare import summarise

        for row, values in zip(rows, summarise(found, rows=0).to_dict("records"), strict=True):
            row |= {key: values.get(key) for key in ("KL train", "KL test")}
    if as_json:
        full = [
            {
                "path": str(run.path),
                **row,
                "config": run.config.model_dump(),
                "metrics": run.metrics,
            }
            for row, run in zip(rows, found, strict=True)
        ]
        typer.echo(json.dumps(full, indent=2))
    elif rows:
        typer.echo(text_table(rows))
    else:
        typer.echo(f"no finished runs in {folder}; train one: vcviz train")


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="Folder of runs, sweeps or notebooks.")],
    format_: Annotated[
        str, typer.Option("--format", help="html, csv, parquet or markdown.")
    ] = "html",
    out: Annotated[
        Path | None, typer.Option(help="File to write; default report.* in FOLDER.")
    ] = None,
    per_run: Annotated[
        bool, typer.Option("--per-run", help="Tables: a line per run, seeds not put together.")
    ] = False,
) -> None:
    """Summarise runs or a scoreboard as a page or table."""
    from vcviz.studies.reports import report as write_report

    typer.echo(write_report(folder, format=format_, out=out, per_run=per_run))  # type: ignore[arg-type]


@app.command(context_settings={"help_option_names": []})
def notebook(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Argument(help="One of ours, or a path to any.")] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option("--parameter", "-p", metavar="NAME=VALUE", help="Set a parameter."),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Folder, or .ipynb file, for the executed notebook and its page.")
    ] = Path("reports"),
    timeout: Annotated[float | None, typer.Option(help="Longest time for a cell, in s.")] = None,
    kernel: Annotated[str | None, typer.Option(help="Jupyter kernel; default this Python.")] = None,
    html: Annotated[bool, typer.Option("--html/--no-html", help="Write the page too.")] = True,
    images: Annotated[
        bool | None,
        typer.Option("--images/--no-images", help="Figures as PNG too; default if possible."),
    ] = None,
    format_: Annotated[
        list[str] | None,
        typer.Option("--format", help="Figures in this format: png, svg or pdf; may be repeated."),
    ] = None,
    quiet: Quiet = False,
    help_: Annotated[
        bool, typer.Option("--help", "-h", help="Show this, and the parameters of NAME.")
    ] = False,
) -> None:
    """Run a notebook and write it as one self-contained page.

    Without NAME, list the notebooks.
    """
    from vcviz.cli.table import text_table
    from vcviz.headless.files import find_notebook, list_notebooks, notebook_title, read_notebook
    from vcviz.headless.parameters import notebook_parameters

    if help_:
        typer.echo(ctx.get_help())
    if name is None:
        ours = list_notebooks().items()
        titles = [{"notebook": k, "title": notebook_title(read_notebook(p))} for k, p in ours]
        typer.echo(("\n" if help_ else "") + text_table(titles))
        return
    declared = notebook_parameters(read_notebook(find_notebook(name)))
    if help_:
        table = [
            {"parameter": p.name, "type": p.type, "default": repr(p.default), "": p.help}
            for p in declared
        ]
        typer.echo("\n" + (text_table(table) or f"{name} takes no parameters"))
        return
    from vcviz.headless import run_notebook
    from vcviz.headless.assignments import parse_assignments

    result = run_notebook(
        name,
        parse_assignments(declared, parameter or []),
        out=out,
        html=html,
        images=format_ or images,
        timeout=timeout,
        kernel=kernel,
        progress=not quiet,
    )
    typer.echo(f"{result.page or result.path}: {result.name} ran in {result.seconds:.0f} s")


@app.command(context_settings={"allow_extra_args": True})
def lab(
    ctx: typer.Context,
    course: Annotated[bool, typer.Option("--course", help="Open the course.")] = False,
    folder: Annotated[Path, typer.Option(help="Folder for your copy of the notebooks.")] = Path(
        "vcviz-notebooks"
    ),
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port; default the first free one.")
    ] = None,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open it in a browser.")
    ] = True,
    app_: Annotated[
        str | None,
        typer.Option(
            "--app",
            metavar="NAME",
            help="A notebook, or all of course, as an app without code (Voilà).",
        ),
    ] = None,
) -> None:
    """Open JupyterLab on a copy of the notebooks.

    Arguments after -- go to JupyterLab.
    """
    from vcviz.headless.files import list_notebooks
    from vcviz.headless.lab import APP_ENVIRONMENT, app_command, copy_notebooks, lab_command, start
    from vcviz.headless.lab.origins import open_doors

    for line in open_doors(ctx.args):
        typer.echo(f"vcviz: warning: {line}", err=True)
    for line in copy_notebooks(folder):
        typer.echo(line)
    options: dict[str, Any] = {"port": port, "browser": browser, "extra": ctx.args}
    if app_ is not None:
        raise typer.Exit(start(app_command(app_, folder, **options), APP_ENVIRONMENT))
    first = next(n for n in list_notebooks() if n.startswith("course/")) if course else "tour"
    raise typer.Exit(start(lab_command(folder, first=first, **options)))


def _row(run: Run) -> dict[str, Any]:
    config, metrics = run.config, run.metrics
    return {
        "name": run.name,
        "dataset": config.dataset,
        "head": config.head,
        "preset": config.preset,
        "latent": config.latent,
        "D": config.latent_dim,
        "epochs": config.epochs,
        "accuracy": metrics["accuracy"],
        "ECE": metrics["ece"],
        "if calibrated": metrics["ece_if_calibrated"],
        "NLL": metrics["nll"],
        "labels": run.label_note,
    }


def _stop(message: str, status: int) -> NoReturn:
    typer.echo(f"vcviz: {' '.join(message.split())}", err=True)
    raise typer.Exit(status)

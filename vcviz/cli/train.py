"""``vcviz train``: the settings of `RunConfig` as options."""

from __future__ import annotations

from functools import cache
from inspect import Parameter, Signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

import typer
from typer.core import TyperCommand

from vcviz.base.errors import InputError

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo


class TrainCommand(TyperCommand):
    """A command with an option for each setting, made when it is asked for.

    Listing the commands must not wait for the settings to be imported.
    """

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the settings and the command's own options."""
        return [*_setting_options(), *super().get_params(ctx)]

    def invoke(self, ctx: Any) -> Any:
        """Run the command with the settings that were given in ``ctx.obj``."""
        given = {option.name: ctx.params.pop(option.name) for option in _setting_options()}
        ctx.obj = {name: value for name, value in given.items() if value not in (None, [], ())}
        return super().invoke(ctx)


@cache
def _setting_options() -> list[Any]:
    """Return an option for each field of `RunConfig`; one of a mapping takes pairs."""
    from vcviz.runs.config import RunConfig

    def settings(**values: Any) -> None: ...

    options = [_option(name, field) for name, field in RunConfig.model_fields.items()]
    settings.__signature__ = Signature(options)  # type: ignore[attr-defined]
    settings.__annotations__ = {option.name: option.annotation for option in options}
    made = typer.Typer(add_completion=False)
    made.command()(settings)
    command: Any = typer.main.get_command(made)
    return [option for option in command.params if option.name in RunConfig.model_fields]


def _option(name: str, field: FieldInfo) -> Parameter:
    """Return the option of a setting; not given, it leaves `RunConfig`'s own default as it is."""
    kind, default, text = field.annotation, field.default, field.description or ""
    names: list[str] = []
    if get_origin(kind) is dict:
        kind, default = list[str], None
        names = [f"--{name.replace('_', '-').removesuffix('s')}"]
    elif get_origin(kind) is Literal:
        *others, last = get_args(kind)
        kind, text = str, f"{text}{';' if ':' in text else ':'} {', '.join(others)} or {last}"
    if default is not None and default is not False:
        text = f"{text} [{default}]"
    metavar = "NAME=VALUE" if names else None
    option = typer.Option(*names, help=text, show_default=False, metavar=metavar)
    annotation: Any = Annotated[kind | None, option]  # type: ignore[operator]
    return Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def train(
    ctx: typer.Context,
    others: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="A setting by its name in vcviz.RunConfig, e.g. critic_steps=4",
            metavar="NAME=VALUE",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs"),
    name: Annotated[
        str | None, typer.Option(help="Name of the run; default made of its settings.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress bars.")] = False,
) -> None:
    """Train a classifier, or go on with an interrupted run."""
    settings = {k: _values(v) if k.endswith("_options") else v for k, v in ctx.obj.items()}
    for key, value in _values(others or []).items():
        if key in settings:
            raise InputError(f"{key} is given twice, by an option of its own and by --set")
        settings[key] = value
    # Settings are checked before torch is imported, which takes seconds.
    from vcviz.runs.config import RunConfig

    config = RunConfig(**settings)
    from vcviz.training import train as train_run
    from vcviz.training.distributed import speaks

    run = train_run(config, out=out, name=name, progress=not quiet)
    if not speaks():
        return
    metrics, labels = run.metrics, run.label_note and f" ({run.label_note})"
    typer.echo(
        f"{run.path}: accuracy {metrics['accuracy']:.3f}, ECE {metrics['ece']:.3f} "
        f"({metrics['ece_if_calibrated']:.3f} if calibrated), NLL {metrics['nll']:.3f} nats"
        f"{labels}\n"
        "next: vcviz runs, to compare; vcviz lab, to look at the latents"
    )


def _values(pairs: list[str]) -> dict[str, Any]:
    from vcviz.headless.assignments import parse_value, split_assignments

    return {
        name.replace("-", "_"): parse_value(text) for name, text in split_assignments(pairs).items()
    }

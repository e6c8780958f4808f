"""``vcviz train``: the settings of `RunConfig` as options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from vcviz.base.errors import InputError


def _setting(text: str, default: object = None, *names: str) -> Any:
    """Return an option that, when it is not given, leaves `RunConfig`'s own default as it is."""
    shown = text if default is None else f"{text} [{default}]"
    return typer.Option(*names, help=shown, show_default=False)


def _pairs(name: str, text: str) -> Any:
    return typer.Option(name, help=text, metavar="NAME=VALUE", show_default=False)


def train(
    dataset: Annotated[
        str | None, _setting("digits, mixture, hub:<owner/name> or path:<folder or file>", "digits")
    ] = None,
    head: Annotated[str | None, _setting("Head of the classifier", "softmax")] = None,
    preset: Annotated[
        str | None, _setting("What is not given: vcviz's settings, or the paper's", "vcviz")
    ] = None,
    latent_dim: Annotated[int | None, _setting("D, latent dimensions", 2)] = None,
    epochs: Annotated[int | None, _setting("Passes over the training rows", 30)] = None,
    seed: Annotated[int | None, _setting("Of data, weights and order", 0)] = None,
    encoder: Annotated[str | None, _setting("auto, mlp, cnn, resnet20…, text", "auto")] = None,
    n_train: Annotated[int | None, _setting("Keep this many training rows, stratified")] = None,
    validation: Annotated[float | None, _setting("Share of them to hold out", 0.0)] = None,
    batch_size: Annotated[int | None, _setting("Rows per step", 200)] = None,
    optimizer: Annotated[str | None, _setting("adam, adamw or sgd", "adam")] = None,
    lr: Annotated[float | None, _setting("Learning rate", 0.002)] = None,
    weight_decay: Annotated[float | None, _setting("Weight decay", 0.0)] = None,
    schedule: Annotated[
        str | None, _setting("Learning rate: constant, step or cosine", "step")
    ] = None,
    precision: Annotated[str | None, _setting("float32, bfloat16, float16", "float32")] = None,
    augment: Annotated[str | None, _setting("none, crop or crop-flip", "none")] = None,
    device: Annotated[str | None, _setting("auto, cpu, cuda, cuda:0 or mps", "auto")] = None,
    threads: Annotated[int | None, _setting("CPU threads; one for small models")] = None,
    compile_: Annotated[bool | None, _setting("Use torch.compile", None, "--compile")] = None,
    head_option: Annotated[list[str] | None, _pairs("--head-option", "E.g. margin=0.1")] = None,
    dataset_option: Annotated[
        list[str] | None, _pairs("--dataset-option", "E.g. label=fine_label")
    ] = None,
    encoder_option: Annotated[
        list[str] | None, _pairs("--encoder-option", "E.g. dropout=0.2")
    ] = None,
    others: Annotated[
        list[str] | None, _pairs("--set", "Any other field of vcviz.RunConfig, e.g. critic_steps=4")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs"),
    name: Annotated[str | None, _setting("Name of the run; default made of its settings")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress bars.")] = False,
) -> None:
    """Train a classifier, or go on with an interrupted run."""
    settings = {
        "dataset": dataset,
        "head": head,
        "preset": preset,
        "latent_dim": latent_dim,
        "epochs": epochs,
        "seed": seed,
        "encoder": encoder,
        "n_train": n_train,
        "validation": validation,
        "batch_size": batch_size,
        "optimizer": optimizer,
        "lr": lr,
        "weight_decay": weight_decay,
        "schedule": schedule,
        "precision": precision,
        "augment": augment,
        "device": device,
        "threads": threads,
        "compile": compile_,
        "head_options": _values(head_option),
        "dataset_options": _values(dataset_option),
        "encoder_options": _values(encoder_option),
    }
    settings = {key: value for key, value in settings.items() if value is not None}
    for key, value in (_values(others) or {}).items():
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


def _values(pairs: list[str] | None) -> dict[str, Any] | None:
    from vcviz.headless.assignments import parse_value, split_assignments

    if not pairs:
        return None
    return {
        name.replace("-", "_"): parse_value(text) for name, text in split_assignments(pairs).items()
    }

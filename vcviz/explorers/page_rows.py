"""What a page without a kernel knows of the rows behind a figure's points: numbers, inputs."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from vcviz.explorers.panel_data import Rows, Source
from vcviz.figures.colouring import SCALE, colouring_of
from vcviz.figures.theme import NEUTRAL
from vcviz.figures.trajectory_paths import flip_levels
from vcviz.metrics.row_values import RowValues, row_values
from vcviz.records import Split, Trajectory

#: code of a row that has no value; the others go from the least to the largest
_NONE = 65535
_ALL = 20_000  # rows at most of which the scales of colours are; else of those that are drawn
_DISTANCES = ("mahalanobis", "relative_mahalanobis", "knn")
_FEW_NUMBERS = 20_000_000  # of training latents that distances are measured from
_SPRITE_BYTES = 200_000
_TEXT = 160  # characters of a text

Table = dict[str, Any]


def of_split(spec: Mapping[str, Any], split: str) -> Mapping[str, Any]:
    """Return a figure whose points say of which split their rows are."""
    data = [
        trace | {"meta": {**trace["meta"], "split": split}}
        if trace["meta"]["layer"] == "points"
        else trace
        for trace in spec["data"]
    ]
    return {**spec, "data": data}


def with_rows(
    figure: go.Figure, sources: Sequence[Source], offered: Sequence[str], *, probe: bool
) -> go.Figure:
    """Let a static figure carry what a page says of its points: ``layout.meta["rows"]``.

    Everything is of the trained model and stands there once, whatever the slider says. Runs of
    other data than the first have rows of their own; of such figures nothing is carried.

    Parameters
    ----------
    figure : its points have passed `of_split`, and the row numbers are the first of customdata
    sources : the runs of its panels
    offered : names of what rows can be coloured by, see `vcviz.metrics.row_values`
    probe : whether the points are of the rows that were kept at every epoch
    """
    drawn: dict[str, list[NDArray[np.int64]]] = {}
    for trace in figure.data:
        if (trace.meta or {}).get("layer") == "points" and trace.customdata is not None:
            numbers = np.asarray(trace.customdata)[:, 0].astype(np.int64)
            drawn.setdefault(trace.meta["split"], []).append(numbers)
    tables = {}
    for split, found in drawn.items():
        rows = np.unique(np.concatenate(found))
        table = _table(sources, (split, probe), rows, offered)
        if len(rows) and table is not None:
            tables[split] = table
    if tables:
        titles = [source.title for source in sources]
        _carry(figure, tables, sources[0].class_names, titles, "after training")
    return figure


def with_attack(
    figure: go.Figure, path: Trajectory, samples: NDArray[np.int64], *, drawn: str = "class"
) -> go.Figure:
    """Let a static figure of an attack carry what a page says of its inputs, as `with_rows`.

    Parameters
    ----------
    samples : (M,) positions in `path` of the points of its layer "now"
    drawn : what its points are coloured by already
    """
    numbers = path.index[samples].astype(np.int32)
    for trace in figure.data:
        layer = (trace.meta or {}).get("layer")
        if layer == "now":
            trace.update(customdata=numbers[:, None], meta={"layer": layer, "split": "attacked"})
        elif layer == "path":  # would be pointed at before the mark on it
            trace.hoverinfo = "skip"
    last = path.at(path.steps).take(samples)
    known = [(name, row_values(last, name)) for name in ("right", "confidence")]
    values = [_coded(name, [value], [value.values]) for name, value in known]
    table: Table = {
        "row": _packed(last.index, "<u4"),
        "label": _packed(last.y, "<u2"),
        "predicted": [_packed(last.log_probs.argmax(1), "<u2")],
        "values": [_flips(path.first_flip[samples]), *values],
    }
    if path.x.ndim == 4:
        both = (("before the attack", path.x), ("after it", path.x_adv))
        table["sprites"] = [s for of, x in both for s in _sprites(x[samples], of)]
    _carry(
        figure, {"attacked": table}, path.class_names, [path.name], "after the attack", drawn=drawn
    )
    return figure


def _flips(first: NDArray[np.int64]) -> Table:
    """Return the steps at which predictions flip as levels in the order of a scale."""
    words, places, colors = flip_levels(first)
    flips = RowValues("step of the first flip", "", places.astype(np.float64), tuple(words))
    return _coded("flip step", [flips], [flips.values]) | {"colors": colors}


def _carry(
    figure: go.Figure,
    tables: Mapping[str, Table],
    class_names: Sequence[str],
    runs: Sequence[str],
    when: str,
    *,
    drawn: str = "class",
) -> None:
    known = {
        "splits": tables,
        "classes": list(class_names),
        "runs": list(runs),
        "drawn": drawn,  # what points are coloured by already
        "when": when,  # what predictions and values are of
        "scale": list(SCALE),
        "none": NEUTRAL,
    }
    figure.update_layout(meta={**(figure.layout.meta or {}), "rows": known})


def _table(
    sources: Sequence[Source], rows: Rows, numbers: NDArray[np.int64], offered: Sequence[str]
) -> Table | None:
    """Return what is known of some rows of a split; None if runs differ in them."""
    last = [source.last(rows) for source in sources]
    places = [_places(lat.index, numbers) for lat, _ in last]
    labels = np.full(len(numbers), -1)
    for (lat, _), place in zip(last, places, strict=True):
        mine = np.where(place >= 0, lat.y[place], -1)
        if ((mine >= 0) & (labels >= 0) & (mine != labels)).any():
            return None
        labels = np.maximum(labels, mine)
    predicted = [
        np.where(place >= 0, lat.log_probs.argmax(1)[place], _NONE)
        for (lat, _), place in zip(last, places, strict=True)
    ]
    table: Table = {
        "row": _packed(numbers, "<u4"),
        "label": _packed(labels, "<u2"),
        "predicted": [_packed(found, "<u2") for found in predicted],
        "values": [],
    }
    for name in offered:
        values = [
            _values(source, rows, name, place)
            for source, place in zip(sources, places, strict=True)
        ]
        if any(found is None for found in values):
            continue
        table["values"].append(_coded(name, *zip(*values, strict=True)))
    split = sources[0].samples.split(rows[0])
    return table | ({} if split is None or numbers.max() >= len(split) else _inputs(split, numbers))


def _places(index: NDArray[np.int64], numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where rows stand in latents, -1 for those that are not there."""
    order = np.argsort(index)
    found = order[np.minimum(np.searchsorted(index[order], numbers), len(index) - 1)]
    return np.where(index[found] == numbers, found, -1)


def _values(source: Source, rows: Rows, name: str, place: NDArray[np.int64]) -> Any:
    """Return the values that make the scale, and those of the rows at `place`; None: too slow."""
    lat, prior = source.last(rows)
    train = source.train
    if name in _DISTANCES and train is not None and train.z.size > _FEW_NUMBERS:
        return None
    if len(lat) <= _ALL:
        found = row_values(lat, name, prior=prior, train=train)
        return found, np.where(place >= 0, found.values[place], np.nan)
    some = row_values(lat.take(place[place >= 0]), name, prior=prior, train=train)
    values = np.full(len(place), np.nan)
    values[place >= 0] = some.values
    return some, values


def _coded(name: str, scales: Sequence[RowValues], each: Sequence[NDArray[np.float64]]) -> Table:
    """Return a value of the rows of each run as codes, and the scale of its colours."""
    scale = colouring_of(scales)
    finite = np.concatenate(each)
    finite = finite[np.isfinite(finite)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    step = (high - low) / (_NONE - 1) or 1.0
    if scale.levels:
        low, step = 0.0, 1.0  # their very numbers

    def coded(values: NDArray[np.float64]) -> str:
        codes = np.where(np.isfinite(values), np.round((values - low) / step), _NONE)
        return _packed(codes, "<u2")

    return {
        "name": name, "label": scale.label, "low": scale.low, "high": scale.high,
        "counts": list(scale.counts), "levels": list(scale.levels),
        "colors": scale.colors if scale.levels else None,
        "from": low, "step": step, "codes": [coded(values) for values in each],
    }  # fmt: skip


def _packed(values: NDArray[Any], dtype: str) -> str:
    return base64.b64encode(values.astype(dtype).tobytes()).decode()


def _inputs(split: Split, numbers: NDArray[np.int64]) -> Table:
    """Return the pictures of rows as one, or their texts."""
    if split.kind == "image":
        return {"sprites": _sprites(split.x[numbers])}
    if split.texts is None:
        return {}
    return {"texts": [split.texts[i][:_TEXT] for i in numbers.tolist()]}


def _sprites(images: NDArray[Any], of: str = "") -> list[Table]:
    """Return images (n, c, h, w) as one picture, as large as its bytes allow; [] if none is.

    `of` says what they are of, where there are several of a row.
    """
    from PIL import Image

    largest = 255 if images.dtype == np.uint8 else 1
    pixels = (images.astype(np.float32) * (255 / largest)).clip(0, 255).round().astype(np.uint8)
    grey = pixels.shape[1] != 3
    tiles = pixels[:, 0] if grey else pixels.transpose(0, 2, 3, 1)
    columns = int(np.ceil(np.sqrt(len(tiles))))
    n_rows = -(-len(tiles) // columns)
    for side in (32, 20, 12):
        share = min(1.0, side / max(tiles.shape[1:3]))
        h, w = (max(round(n * share), 1) for n in tiles.shape[1:3])
        sheet = Image.new("L" if grey else "RGB", (columns * w, n_rows * h))
        for i, tile in enumerate(tiles):
            one = Image.fromarray(tile)
            small = one if share == 1 else one.resize((w, h), Image.Resampling.BOX)
            sheet.paste(small, (i % columns * w, i // columns * h))
        uri = min((_uri(sheet, kind) for kind in ("PNG", "JPEG")), key=len)
        if len(uri) <= _SPRITE_BYTES:
            return [{"source": uri, "columns": columns, "rows": n_rows, "w": w, "h": h, "of": of}]
    return []


def _uri(sheet: Any, kind: str) -> str:
    """Return a picture as a data URI; a PNG of 16 greys or 64 colours."""
    buffer = io.BytesIO()
    if kind == "PNG":
        sheet.quantize(16 if sheet.mode == "L" else 64).save(buffer, "PNG", optimize=True)
    else:
        sheet.save(buffer, "JPEG", quality=70)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"

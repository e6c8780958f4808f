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
from vcviz.metrics.row_values import row_values
from vcviz.records import Split

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
        known = {
            "splits": tables,
            "classes": list(sources[0].class_names),
            "runs": [source.title for source in sources],
            "scale": list(SCALE),
            "none": NEUTRAL,
        }
        figure.update_layout(meta={**(figure.layout.meta or {}), "rows": known})
    return figure


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
        scale = colouring_of([found for found, _ in values])  # type: ignore[misc]
        each = [found for _, found in values]  # type: ignore[misc]
        finite = np.concatenate(each)
        finite = finite[np.isfinite(finite)]
        low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
        step = (high - low) / (_NONE - 1) or 1.0
        table["values"].append({
            "name": name, "label": scale.label, "low": scale.low, "high": scale.high,
            "counts": list(scale.counts), "levels": list(scale.levels),
            "colors": scale.colors if scale.levels else None,
            "from": low, "step": step, "codes": [_coded(v, low, step) for v in each],
        })  # fmt: skip
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


def _coded(values: NDArray[np.float64], low: float, step: float) -> str:
    known = np.isfinite(values)
    codes = np.full(len(values), _NONE)
    codes[known] = np.round((values[known] - low) / step)
    return _packed(codes, "<u2")


def _packed(values: NDArray[Any], dtype: str) -> str:
    return base64.b64encode(values.astype(dtype).tobytes()).decode()


def _inputs(split: Split, numbers: NDArray[np.int64]) -> Table:
    """Return the pictures of rows as one, or their texts."""
    if split.kind == "image":
        return _sprite(split.x[numbers])
    if split.texts is None:
        return {}
    return {"texts": [split.texts[i][:_TEXT] for i in numbers.tolist()]}


def _sprite(images: NDArray[Any]) -> Table:
    """Return images (n, c, h, w) as one picture, as large as its bytes allow; {} if none is."""
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
            return {"sprite": {"source": uri, "columns": columns, "rows": n_rows,
                               "w": w, "h": h}}  # fmt: skip
    return {}


def _uri(sheet: Any, kind: str) -> str:
    """Return a picture as a data URI; a PNG of 16 greys or 64 colours."""
    buffer = io.BytesIO()
    if kind == "PNG":
        sheet.quantize(16 if sheet.mode == "L" else 64).save(buffer, "PNG", optimize=True)
    else:
        sheet.save(buffer, "JPEG", quality=70)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"

"""Small pictures of inputs as one image; before and after an attack."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcviz.figures.grid import Cell
from vcviz.figures.marks import Trace, quiet
from vcviz.figures.theme import escape
from vcviz.records import Trajectory

#: transparent pixels between pictures
EDGE = 1
#: pixels that small pictures are enlarged to
_SHARP = 64


def attack_pictures(path: Trajectory, samples: NDArray[np.int64], cell: Cell) -> dict[str, Any]:
    """Return a layout image: inputs, attacked inputs, their difference; a column a sample."""
    clean, attacked = path.x[samples], path.x_adv[samples]
    change = (attacked - clean) * _gain(path, samples) + 0.5
    return picture_rows((clean, attacked, np.clip(change, 0, 1)), cell)


def picture_rows(rows: Sequence[NDArray[np.float32]], cell: Cell) -> dict[str, Any]:
    """Return rows of images (n, c, h, w) as one layout image in data coordinates, one a pixel.

    A layout image, not a trace: frames of a static figure would take a trace away.
    """
    strips = [np.concatenate(list(rgba(images)), axis=1) for images in rows]
    pixels = np.concatenate(strips, axis=0)
    # Browsers blur what they enlarge, which shows in the smallest pictures.
    height, colour = rows[0].shape[2], rows[0].shape[1] == 3
    times = max(1, round(_SHARP / height)) if height < _SHARP / 2 else 1
    large = pixels.repeat(times, axis=0).repeat(times, axis=1)
    return {
        # Changes in colour are noise, which no PNG makes small.
        "source": palette_uri(large) if colour else data_uri(large),
        "xref": f"x{cell.suffix}",
        "yref": f"y{cell.suffix}",
        "x": -0.5,
        "y": -0.5,
        "sizex": pixels.shape[1],
        "sizey": pixels.shape[0],
        "xanchor": "left",
        "yanchor": "top",
        "sizing": "stretch",
        "layer": "below",
    }


def attack_points(path: Trajectory, samples: NDArray[np.int64]) -> Trace:
    """Return unseen points on the pictures that say, and lead to, what each is of."""
    height, width = (n + EDGE for n in path.x.shape[-2:])
    final, names = path.log_probs[-1].argmax(1), path.class_names
    texts = [
        f"row {path.index[i]}: true {escape(names[path.y[i]], 30)}, "
        f"read as {escape(names[final[i]], 30)}"
        for i in samples
    ]
    columns = width * (np.arange(len(samples)) + 0.5) - 0.5
    x, y = np.tile(columns, 3), np.repeat(height * (np.arange(3) + 0.5) - 0.5, len(samples))
    looks = {"mode": "markers", "marker": {"size": 34, "opacity": 0}}
    return quiet(x, y, "pictures", "pictures", text=texts * 3, hoverinfo="text", **looks)


def attack_axes(
    path: Trajectory, samples: NDArray[np.int64], cell: Cell
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the axes of `attack_pictures`: true class → prediction above, what a row shows."""
    final = path.log_probs[-1].argmax(1)
    names = path.class_names
    ticks = [f"{escape(names[path.y[i]], 8)} → {escape(names[final[i]], 8)}" for i in samples]
    labels = ["before", "after", f"difference ×{_gain(path, samples):.3g}"]
    return picture_axes(path.x.shape[-2:], ticks, labels, cell.suffix)


def picture_axes(
    size: tuple[int, ...], above: Sequence[str], beside: Sequence[str], suffix: str = ""
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the axes of rows of pictures of a size (h, w): words above columns, beside rows.

    `suffix` is that of the names of plotly's axes.
    """
    height, width = (n + EDGE for n in size)
    plain = {"showgrid": False, "showline": False, "ticks": "", "fixedrange": True}
    plain["constrain"] = "domain"
    x = {
        "tickvals": [width * (i + 0.5) - 0.5 for i in range(len(above))],
        "ticktext": list(above),
        "side": "top",
        "range": [-0.5, width * len(above) - 0.5],
    }
    y = {
        "tickvals": [height * (i + 0.5) - 0.5 for i in range(len(beside))],
        "ticktext": list(beside),
        "range": [height * len(beside) - 0.5, -0.5],
        "scaleanchor": f"x{suffix}",
    }
    return plain | x, plain | y


def _gain(path: Trajectory, samples: NDArray[np.int64]) -> float:
    largest = float(np.abs(path.x_adv[samples] - path.x[samples]).max())
    return 0.5 / largest if largest > 0 else 1.0


def rgba(images: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return (n, h+1, w+1, 4) bytes of images (n, c, h, w) in [0, 1], with a transparent edge."""
    n, channels, h, w = images.shape
    images = images.clip(0, 1)
    colours = images if channels == 3 else np.repeat(images.mean(1, keepdims=True), 3, axis=1)
    out = np.zeros((n, h + EDGE, w + EDGE, 4), np.uint8)
    out[:, :h, :w, :3] = (colours.transpose(0, 2, 3, 1) * 255).round()
    out[:, :h, :w, 3] = 255
    return out


def data_uri(pixels: NDArray[np.uint8]) -> str:
    """Return RGBA pixels (h, w, 4) as a PNG that a page can hold."""
    from PIL import Image

    grey = bool((pixels[..., :1] == pixels[..., 1:3]).all())
    image = Image.fromarray(pixels)
    # A tenth of the time of the highest level, for a fiftieth more bytes.
    return _png(image.convert("LA") if grey else image, compress_level=6)


def palette_uri(pixels: NDArray[np.uint8]) -> str:
    """Return RGBA pixels (h, w, 4) as a PNG of at most 256 colours: small, and made quickly."""
    from PIL import Image

    few = Image.fromarray(pixels).quantize(256, method=Image.Quantize.FASTOCTREE)
    return _png(few, compress_level=4)


def _png(image: Any, **options: Any) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()

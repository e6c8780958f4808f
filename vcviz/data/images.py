"""Encoded pictures as one uint8 array (N, channels, height, width)."""

from __future__ import annotations

import io
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from vcviz.base.errors import InputError, MissingError, clip
from vcviz.base.options import check_count
from vcviz.base.progress import bar
from vcviz.data.memory import check_memory

#: formats that hold pixels: PIL hands others, such as EPS, to programs of the system (Ghostscript)
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "JPEG2000", "PPM", "TGA", "AVIF")
#: modes that hold grey values only; every other mode becomes RGB
_GREY = {"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N"}


def decode_images(
    sources: Sequence[Any],
    *,
    size: int | Sequence[int] | None = None,
    channels: int | None = None,
    where: Callable[[int], str] = "row {}".format,
) -> NDArray[np.uint8]:
    """Return (N, c, h, w): one channel if all are grey, else three (RGB; alpha is dropped).

    Parameters
    ----------
    sources : each a PIL image, a path, encoded bytes, a mapping with ``bytes`` or ``path``, or a
        uint8 array (h, w) or (h, w, 3)
    size : height and width to stretch every image to (one number for a square); needed where
        sizes differ
    channels : 1 or 3 to ask for grey or RGB
    where : names a row in messages

    Raises
    ------
    InputError
        For an image that cannot be read, and for sizes that differ when no `size` is given.
    """
    target = None if size is None else image_size(size)
    out = np.empty((0, 0, 0, 0), np.uint8)
    single = isinstance(sources, str | bytes | Mapping) or getattr(sources, "shape", None) == ()
    if single or not hasattr(sources, "__len__"):
        raise InputError(f"images must be a list of images, got {clip(sources)}")
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for row, source in enumerate(bar(sources, "decoding images")):
            try:
                pixels = _pixels(source, target, channels)
            except InputError as error:
                raise type(error)(f"{where(row)}: {error}") from None
            if row == 0:
                _, height, width = pixels.shape
                check_memory(
                    f"{len(sources):,} images of {height} x {width} pixels",
                    len(sources) * pixels.size,
                    "pass a smaller image_size=[height, width], or max_rows",
                )
                out = np.empty((len(sources), *pixels.shape), np.uint8)
            if pixels.shape[1:] != out.shape[2:]:
                raise _different_sizes(sources)
            if len(pixels) > out.shape[1]:
                out = np.repeat(out, len(pixels), axis=1)
            out[row] = pixels
    if not len(out):
        raise InputError("there are no images to decode")
    return out


def image_size(size: Any) -> tuple[int, int]:
    """Return `size` as (height, width)."""
    if isinstance(size, Sequence) and not isinstance(size, str) and len(size) == 2:
        return check_count("image_size", size[0]), check_count("image_size", size[1])
    side = check_count("image_size", size)
    return side, side


def _pixels(source: Any, size: tuple[int, int] | None, channels: int | None) -> NDArray[np.uint8]:
    """Return one image as (c, h, w)."""
    with _opened(source) as image:
        if image.mode == "F":
            raise InputError("images of floating-point values have no known range; convert them")
        try:
            if "exif" in image.info:
                image = ImageOps.exif_transpose(image)
            image = _in_mode(image, channels)
            if size is not None and image.size != size[::-1]:
                image = image.resize(size[::-1], Image.Resampling.BILINEAR)
            pixels = np.asarray(image)
        except (OSError, SyntaxError, ValueError) as error:
            raise InputError(f"the image is damaged ({error})") from None
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _in_mode(image: Image.Image, channels: int | None) -> Image.Image:
    if image.mode.startswith("I"):
        # convert() would clip 16-bit grey values at 255.
        deep = np.asarray(image).astype(np.int64)
        image = Image.fromarray((deep.clip(0, 65535) // 257).astype(np.uint8))
    grey = image.mode in _GREY if channels is None else channels == 1
    wanted = "L" if grey else "RGB"
    if image.mode == wanted:
        return image
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert(wanted)


@cache
def _formats() -> list[str]:
    """Return those of `_FORMATS` that this build of PIL reads."""
    Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]


def _opened(source: Any) -> Image.Image:
    if isinstance(source, Image.Image):
        return source.copy()
    if isinstance(source, np.ndarray):
        grey, colour = source.ndim == 2, source.ndim == 3 and source.shape[-1] == 3
        if source.dtype != np.uint8 or not (grey or colour) or source.size == 0:
            raise InputError(
                f"an array must be uint8 (h, w) or (h, w, 3), got {source.dtype} {source.shape}"
            )
        return Image.fromarray(source)
    if isinstance(source, Mapping):
        source = source.get("path") if source.get("bytes") is None else source["bytes"]
    if source is None:
        raise InputError("there is no image (a missing value)")
    try:
        file = io.BytesIO(source) if isinstance(source, bytes) else source
        return Image.open(file, formats=_formats())
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        # A few kilobytes can unpack to gigabytes.
        raise InputError(
            f"the image has more than {Image.MAX_IMAGE_PIXELS:,} pixels; if you trust it, make it "
            "smaller first"
        ) from None
    except FileNotFoundError:
        raise MissingError(f"there is no image file {str(source)!r}") from None
    except (OSError, SyntaxError, ValueError, AttributeError):
        shown = clip(source, 40 if isinstance(source, bytes) else 200)
        raise InputError(f"not an image that can be read, got {shown}") from None


def _different_sizes(sources: Sequence[Any]) -> InputError:
    sizes: Counter[str] = Counter()
    for source in sources:
        with _opened(source) as image:
            sizes[f"{image.height}x{image.width}"] += 1
    listed = ", ".join(f"{s} ({n})" for s, n in sizes.most_common(4))
    more = ", …" if len(sizes) > 4 else ""
    return InputError(
        f"images must have one size, got {len(sizes)}: {listed}{more}; "
        "pass image_size=[height, width] to stretch them all to one"
    )

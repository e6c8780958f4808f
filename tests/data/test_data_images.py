"""Decoding pictures: modes, sizes, orientation, and what cannot be read."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from vcviz.base.errors import InputError, MissingError
from vcviz.data.images import decode_images

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (3, 5), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (3, 5, 3), dtype=np.uint8)


def encoded(image: Image.Image, kind: str = "png", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def test_grey_and_colour_come_back_exactly(tmp_path):
    png = encoded(Image.fromarray(GREY))
    (tmp_path / "a.png").write_bytes(png)
    forms = [png, {"bytes": png, "path": None}, GREY, Image.fromarray(GREY)]
    forms += [tmp_path / "a.png", {"bytes": None, "path": str(tmp_path / "a.png")}]
    out = decode_images(forms)
    assert out.shape == (6, 1, 3, 5)
    assert (out == GREY).all()
    assert np.array_equal(decode_images([COLOUR])[0], COLOUR.transpose(2, 0, 1))


def test_one_colour_image_makes_all_of_them_colour():
    out = decode_images([GREY, GREY, COLOUR, GREY])
    assert out.shape == (4, 3, 3, 5)
    assert (out[[0, 1, 3]] == GREY).all()
    assert np.array_equal(out[2], COLOUR.transpose(2, 0, 1))


def test_channels_can_be_asked_for():
    assert decode_images([GREY], channels=3).shape == (1, 3, 3, 5)
    assert decode_images([COLOUR], channels=1).shape == (1, 1, 3, 5)


@pytest.mark.parametrize(
    ("image", "channels", "pixel"),
    [
        (Image.new("1", (5, 3), 1), 1, [255]),
        (Image.new("LA", (5, 3), (40, 9)), 1, [40]),
        (Image.new("RGBA", (5, 3), (1, 2, 3, 9)), 3, [1, 2, 3]),
        (Image.new("CMYK", (5, 3), (255, 0, 0, 0)), 3, [0, 255, 255]),
        (Image.fromarray(np.full((3, 5), 40 * 257, np.uint16)), 1, [40]),
        (Image.new("RGB", (5, 3), (9, 8, 7)).quantize(4), 3, [9, 8, 7]),
    ],
)
def test_every_mode_becomes_grey_or_rgb(image, channels, pixel):
    kind = "tiff" if image.mode == "CMYK" else "png"
    out = decode_images([encoded(image, kind)])
    assert out.shape == (1, channels, 3, 5)
    assert out[0, :, 1, 2].tolist() == pixel


def test_a_palette_with_transparency_warns_nobody():
    palette = Image.new("RGB", (5, 3), (9, 8, 7)).quantize(4)
    out = decode_images([encoded(palette, transparency=b"\x10\x80")])
    assert out[0, :, 0, 0].tolist() == [9, 8, 7]


def test_a_photograph_is_turned_as_its_camera_was_held():
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = decode_images([encoded(Image.fromarray(GREY), exif=exif)])
    assert np.array_equal(turned[0, 0], np.rot90(GREY, -1))


def test_mixed_sizes_are_listed_or_stretched():
    images = [GREY, GREY, np.zeros((4, 4), np.uint8), np.full((6, 10), 9, np.uint8)]
    with pytest.raises(
        InputError, match=r"got 3: 3x5 \(2\), 4x4 \(1\), 6x10 \(1\); pass image_size"
    ):
        decode_images(images)
    out = decode_images(images, size=[3, 5])
    assert out.shape == (4, 1, 3, 5)
    assert np.array_equal(out[0, 0], GREY)
    assert (out[3] == 9).all()
    assert decode_images(images, size=7).shape == (4, 1, 7, 7)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (b"certainly no image", "row 1: not an image that can be read"),
        (
            encoded(Image.fromarray(RNG.integers(0, 256, (60, 60), np.uint8)))[:600],
            "row 1: the image is damaged",
        ),
        (None, "row 1: there is no image"),
        ({"bytes": None, "path": None}, "row 1: there is no image"),
        (np.zeros((3, 5)), r"must be uint8 \(h, w\) or \(h, w, 3\), got float64 \(3, 5\)"),
        (encoded(Image.fromarray(GREY.astype(np.float32)), "tiff"), "floating-point values"),
        (7, "not an image that can be read"),
    ],
)
def test_what_cannot_be_read_is_named(source, message):
    with pytest.raises(InputError, match=message):
        decode_images([GREY, source])


def test_a_missing_file_and_no_images_at_all(tmp_path):
    with pytest.raises(MissingError, match="row 0: there is no image file"):
        decode_images([tmp_path / "gone.png"])
    with pytest.raises(InputError, match="no images to decode"):
        decode_images([])
    with pytest.raises(InputError, match="image_size must be a whole number"):
        decode_images([GREY], size="8x8")


def test_an_image_that_unpacks_to_gigabytes_is_refused():
    bomb = encoded(Image.new("1", (20_000, 12_000)))
    assert len(bomb) < 100_000
    with pytest.raises(InputError, match="row 1: the image has more than 89,478,485 pixels"):
        decode_images([GREY, bomb])


def test_images_that_no_memory_holds_are_refused_before_they_are_decoded():
    large = encoded(Image.new("1", (8_000, 8_000)))
    with pytest.raises(InputError, match=r"5,000 images of 8000 x 8000 pixels would take 320.0 GB"):
        decode_images([large] * 5_000)
    assert decode_images([large] * 3, size=4).shape == (3, 1, 4, 4)


def test_a_format_that_pil_hands_to_other_programs_is_no_image():
    # PIL runs Ghostscript on the PostScript that a dataset holds.
    file = io.BytesIO()
    Image.new("RGB", (5, 4)).save(file, "EPS")
    with pytest.raises(InputError, match="not an image that can be read"):
        decode_images([file.getvalue()])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "TGA"])
def test_formats_of_pixels_are_read(kind):
    file = io.BytesIO()
    Image.new("RGB", (5, 4), (250, 130, 10)).save(file, kind)
    pixels = decode_images([file.getvalue()])
    assert pixels.shape == (1, 3, 4, 5)
    np.testing.assert_allclose(pixels.mean((0, 2, 3)), (250, 130, 10), atol=4)

"""What a page shows in a browser, measured on its boxes: any page, any width, light or dark."""

from __future__ import annotations

from typing import Any

#: from the smallest phones to large screens
WIDTHS = (320, 390, 600, 800, 1280, 2560)

# Scroll through the page, so that every figure has been near.
_THROUGH = """async () => {
  for (const box of document.querySelectorAll("[data-figure]")) {
    box.scrollIntoView({ block: "center" });
    while (!box.dataset.drawn) {
      if (box.querySelector(":scope > p")) throw Error(box.textContent);
      await new Promise((next) => setTimeout(next, 20));
    }
  }
  scrollTo(0, 0);
}"""

_OVERLAPS = """() => [...document.querySelectorAll("[data-figure]")].flatMap((box) => {
  const seen = new Map();
  for (const area of box.querySelectorAll(".nsewdrag")) {
    const r = area.getBoundingClientRect();
    seen.set([r.x, r.y, r.width, r.height].map(Math.round).join(), r);
  }
  const areas = [...seen.values()];
  const found = [];
  areas.forEach((a, i) => areas.slice(i + 1).forEach((b) => {
    const w = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const h = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (w > 1 && h > 1) found.push([box.dataset.figure, Math.round(w), Math.round(h)].join(" "));
  }));
  // Nor do buttons, switches and lists lie over one another.
  const controls = [...box.querySelectorAll(".updatemenu-item-rect")]
    .map((control) => control.getBoundingClientRect());
  controls.forEach((a, i) => controls.slice(i + 1).forEach((b) => {
    const w = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const h = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (w > 2 && h > 2) found.push(`${box.dataset.figure}: buttons over one another`);
  }));
  // A slider and its words must not lie under a button or list.
  const words = [...box.querySelectorAll(".slider-group text")];
  for (const button of box.querySelectorAll(".updatemenu-item-rect")) {
    const b = button.getBoundingClientRect();
    for (const word of words) {
      const a = word.getBoundingClientRect();
      const w = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const h = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (w > 1 && h > 1) found.push(`${box.dataset.figure}: a button over ${word.textContent}`);
    }
  }
  for (const { width, height } of areas) {
    if (width < 20 || height < 8) found.push(`${box.dataset.figure} is ${width} by ${height}`);
  }
  return found;
})"""

_UNDRAWN = """() => [...document.querySelectorAll("[data-figure]")].flatMap((box) => {
  const there = [...box.querySelectorAll(".trace text")]
    .filter((t) => t.getBoundingClientRect().width > 0).map((t) => t.dataset.unformatted);
  return box._fullData.filter((t) => t.visible === true && t.meta?.layer === "readout")
    .flatMap((t) => [].concat(t.text)).filter((text) => text && !there.includes(text))
    .map((text) => `${box.dataset.figure}: ${text}`);
})"""

# Words of figures and their ground, by WCAG 2's contrast; what is opaque behind them is the page,
# or the button or list that they stand in.
_PALE = """() => {
  const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const over = (color, ground) => {
    pen.fillStyle = `rgb(${ground})`;
    pen.fillRect(0, 0, 1, 1);
    pen.fillStyle = color;
    pen.fillRect(0, 0, 1, 1);
    return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (rgb) => rgb.map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const page = over(getComputedStyle(document.body).backgroundColor, [255, 255, 255]);
  const found = [];
  for (const text of document.querySelectorAll("[data-figure] text")) {
    const style = getComputedStyle(text);
    if (!text.textContent.trim() || !text.getBoundingClientRect().width) continue;
    const button = text.parentElement.querySelector(".updatemenu-item-rect");
    const ground = button ? over(getComputedStyle(button).fill, page) : page;
    const [high, low] = [over(style.fill, ground), ground].map(light).sort((a, b) => b - a);
    const contrast = (high + 0.05) / (low + 0.05);
    const words = text.textContent.slice(0, 30);
    if (contrast < 4.5) found.push(`${words}: ${contrast.toFixed(2)}`);
    const dark = light(ground) < 0.2;
    if (dark !== light(page) < 0.2) found.push(`${words} has another ground`);
  }
  return found;
}"""

_BEYOND = "() => document.documentElement.scrollWidth - innerWidth"


def scrolled(page: Any) -> None:
    """Scroll through a page until each of its figures is drawn."""
    page.wait_for_function("document.querySelectorAll('[data-figure]').length")
    page.evaluate(_THROUGH)


def overlaps(page: Any) -> list[str]:
    """Return which plot areas and controls of a figure lie over one another, or are too small."""
    return list(page.evaluate(_OVERLAPS))


def undrawn(page: Any) -> list[str]:
    """Return the readouts that are in a figure's data and not in its drawing."""
    return list(page.evaluate(_UNDRAWN))


def pale(page: Any) -> list[str]:
    """Return the words of figures that are too pale for their ground, or on one of another page."""
    return list(page.evaluate(_PALE))


def beyond(page: Any) -> int:
    """Return the pixels by which a page is wider than its window."""
    return int(page.evaluate(_BEYOND))

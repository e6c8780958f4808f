// A figure cannot know the page that it will stand on. A figure without a background of its own
// takes the page's ink, be the page light or dark, and its words are kept as legible on it as
// WCAG 2 asks (4.5:1) in their own hue.
const takeInk = (() => {
  const LEAST = 4.6; // a little more than is asked, for what antialiasing takes
  const CLEAR = /^rgba\(.*,\s*0\)$|^transparent$/;

  const bytes = (() => {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 1;
    const pen = canvas.getContext("2d", { willReadFrequently: true });
    return (color, ground = [255, 255, 255]) => {
      pen.fillStyle = `rgb(${ground.join()})`;
      pen.fillRect(0, 0, 1, 1);
      pen.fillStyle = color;
      pen.fillRect(0, 0, 1, 1);
      return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
  })();
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => {
    const [high, low] = [light(a), light(b)].sort((p, q) => q - p);
    return (high + 0.05) / (low + 0.05);
  };

  // The colour, with as much of the ink in it as it needs.
  function legible(color, ink, paper) {
    const own = bytes(color, paper);
    for (let share = 0; share < 1; share += 0.05) {
      const mixed = own.map((v, i) => Math.round(v + (ink[i] - v) * share));
      if (contrast(mixed, paper) >= LEAST) return share ? `rgb(${mixed.join()})` : color;
    }
    return `rgb(${ink.join()})`;
  }

  // Every colour of words in data and layout: textfont.color, font.color, tickfont.color, …
  function eachFont(value, change, name = "") {
    if (value === null || typeof value !== "object" || ArrayBuffer.isView(value)) return;
    if (/font$/.test(name) && value.color) {
      value.color = Array.isArray(value.color) ? value.color.map(change) : change(value.color);
    }
    if (Array.isArray(value) && typeof value[0] !== "object") return;
    for (const [key, inner] of Object.entries(value)) {
      if (key !== "template") eachFont(inner, change, Array.isArray(value) ? name : key);
    }
  }

  // box: where the figure will be drawn; spec: what Plotly.newPlot takes, which is changed
  return function takeInk(box, { data = [], layout = {}, frames = [] }) {
    const ground = layout.paper_bgcolor ?? layout.template?.layout?.paper_bgcolor ?? "#fff";
    if (!CLEAR.test(ground)) return;
    box.classList.add("inked");
    const style = getComputedStyle(box);
    const paper = bytes(getComputedStyle(document.body).backgroundColor);
    const ink = bytes(style.color, paper);
    const change = (color) => (typeof color === "string" ? legible(color, ink, paper) : color);
    for (const { hoverlabel, ...rest } of [...data, ...frames]) eachFont(rest, change);
    const { hoverlabel, updatemenus, ...words } = layout;
    eachFont(words, change);
    // A little softer than the page's own words.
    const soft = ink.map((v, i) => Math.round(v + (paper[i] - v) * 0.15));
    layout.font = { ...layout.font, color: `rgb(${soft.join()})` };
    layout.modebar = { bgcolor: "rgba(0,0,0,0)", color: `rgba(${ink.join()},0.45)`,
      activecolor: `rgb(${ink.join()})`, ...layout.modebar };
  };
})();

// Pages of the course: predictions, checks that need no kernel, and one section a screen.
(() => {
// ---------------------------------------------------------------- predict, then reveal

for (const box of document.querySelectorAll(".predict")) {
  const reveal = box.querySelector("details");
  if (reveal.open) continue; // a lecturer's page
  const summary = reveal.querySelector("summary");
  let answered = false;
  const set = () => {
    answered = [...box.querySelectorAll("input")].some((i) => i.checked || (i.type === "text" && i.value.trim()));
    summary.setAttribute("aria-disabled", String(!answered));
    summary.title = answered ? "" : "answer first";
  };
  set();
  box.addEventListener("input", set);
  summary.addEventListener("click", (event) => { if (!answered) event.preventDefault(); });
}

// ---------------------------------------------------------------- what is typed

const NAMES = Object.assign(Object.create(null), {
  pi: Math.PI, e: Math.E,
  ...Object.fromEntries(["abs", "sqrt", "exp", "expm1", "log1p", "log2", "log10", "sin", "cos", "tan", "sinh",
    "cosh", "tanh"].map((name) => [name, lifted(Math[name])])),
  log: (x, base) => (base === undefined ? lifted(Math.log)(x) : Math.log(x) / Math.log(base)),
  arctan: lifted(Math.atan), atan: lifted(Math.atan), square: lifted((x) => x * x), erf: lifted(erf),
  pow: lifted(Math.pow), power: lifted(Math.pow), hypot: Math.hypot, array: (x) => x,
  max: (...x) => Math.max(...x.flat(9)), min: (...x) => Math.min(...x.flat(9)),
  sum: (...x) => x.flat(9).reduce((a, b) => a + b, 0),
  mean: (x) => x.flat(9).reduce((a, b) => a + b, 0) / x.flat(9).length,
});

function lifted(f) {
  const on = (a, b) => {
    if (Array.isArray(a)) return a.map((v, i) => on(v, Array.isArray(b) ? b[i] : b));
    return Array.isArray(b) ? b.map((v) => on(a, v)) : f(a, b);
  };
  return on;
}

function erf(x) { // Abramowitz and Stegun 7.1.26, to 1.5e-7
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const poly = [1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592].reduce((sum, c) => (sum + c) * t, 0);
  return Math.sign(x) * (1 - poly * Math.exp(-x * x));
}

// Arithmetic as vcviz.course.expressions reads it, but for matrices. Nothing is run as a script.
function evaluated(text) {
  const tokens = text.match(/\d*\.?\d+(?:e[+-]?\d+)?\.?|[a-z_]\w*(?:\.\w+)*|\*\*|\S/gi) ?? [];
  let at = 0;
  const take = (...wanted) => (wanted.includes(tokens[at]) ? tokens[at++] : null);
  const need = (token) => { if (!take(token)) throw Error(`expected ${token}`); };
  const list = (end) => {
    const parts = [];
    while (!take(end)) {
      parts.push(sum());
      if (!take(",")) { need(end); break; }
    }
    return parts;
  };
  const atom = () => {
    if (take("[")) return list("]");
    if (take("(")) {
      const parts = list(")");
      return parts.length === 1 ? parts[0] : parts;
    }
    const token = tokens[at++] ?? "";
    if (/^[.\d]/.test(token)) return Number(token);
    const value = NAMES[token.replace(/^(np|numpy|math)\./, "")];
    if (value === undefined) throw Error(`${token} cannot be used`);
    if (typeof value !== "function") return value;
    need("(");
    return value(...list(")"));
  };
  const power = () => {
    const base = atom();
    return take("**", "^") ? lifted(Math.pow)(base, sign()) : base;
  };
  const sign = () => (take("-") ? lifted((a) => -a)(sign()) : take("+") ? sign() : power());
  const times = { "*": lifted((a, b) => a * b), "/": lifted((a, b) => a / b) };
  const plus = { "+": lifted((a, b) => a + b), "-": lifted((a, b) => a - b) };
  const chain = (next, does) => () => {
    let value = next();
    for (let op; (op = take(...Object.keys(does)));) value = does[op](value, next());
    return value;
  };
  const product = chain(sign, times);
  function sum() { return chain(product, plus)(); }
  const values = [sum()];
  while (take(",")) if (at < tokens.length) values.push(sum());
  if (at < tokens.length) throw Error(`${tokens[at]} cannot be used`);
  return values.length > 1 ? values : values[0];
}

function numbers(text, unit) {
  let said = text.trim().replace(/[−–]/g, "-").replace(/[·×]/g, "*");
  const percent = said.endsWith("%");
  if (percent) said = said.slice(0, -1);
  else if (unit && said.endsWith(unit)) said = said.slice(0, -unit.length);
  const value = evaluated(said);
  return percent && unit !== "percent" ? lifted((x) => x / 100)(value) : value;
}

// As `normal` of vcviz.course.answers.
function normal(text) {
  let said = text.replace(/^[\s'"]+|[\s'"]+$/g, "").toLowerCase().replace(/^(the|an?)\s+/, "");
  said = said.replace(/[^\p{L}\p{N}]+/gu, "") || said;
  if (said.endsWith("ies")) return said.slice(0, -3) + "y";
  if (said.endsWith("sses")) return said.slice(0, -2);
  return said.endsWith("s") && !said.endsWith("ss") ? said.slice(0, -1) : said;
}

// ---------------------------------------------------------------- checks, see vcviz.course.pages

const bytes = (text) => new TextEncoder().encode(text);
const hex = (array) => [...array].map((v) => v.toString(16).padStart(2, "0")).join("");
const unhex = (text) => Uint8Array.from(text.match(/../g), (v) => parseInt(v, 16));
const xor = (a, b) => a.map((v, i) => v ^ b[i]);

async function digest(...parts) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", Uint8Array.from(parts.flatMap((part) => [...part]))));
}

async function opened(target, texts, salt, rounds) {
  let secret = new Uint8Array(32);
  for (const [i, text] of texts.entries()) {
    const key = await crypto.subtle.importKey("raw", bytes(`${target.grid}:${text}`), "PBKDF2", false, ["deriveBits"]);
    const slow = { name: "PBKDF2", hash: "SHA-256", salt, iterations: rounds };
    const hash = new Uint8Array(await crypto.subtle.deriveBits(slow, key, 256));
    const share = target.shares[i][hex(hash.slice(0, 4))];
    if (!share) return null;
    secret = xor(secret, xor(await digest(hash), unhex(share)));
  }
  const said = Uint8Array.from(atob(target.said), (c) => c.charCodeAt(0));
  for (let i = 0; 32 * i < said.length; i++) {
    said.set(xor(said.slice(32 * i, 32 * i + 32), await digest(secret, bytes(`said${i}`))), 32 * i);
  }
  return new TextDecoder().decode(said);
}

async function judged(text, { salt, rounds, unit, hint, size, targets }) {
  if (!globalThis.crypto?.subtle) return "✗this page can check only as a file or over https";
  let given = [];
  if (size >= 0) {
    try {
      given = [numbers(text, unit)].flat(9);
    } catch (error) {
      given = [NaN];
    }
    const wanted = size ? `${size} numbers, such as [1.0, 2.0]` : "one number";
    if (given.length !== (size || 1) || !given.every(Number.isFinite)) return `✗expected ${wanted}, got ${text}`;
  }
  for (const target of targets) {
    const texts = size < 0 ? [normal(text)] : given.map((v, i) => `${i}:${Math.round(v / 2 ** target.grid)}`);
    const said = await opened(target, texts, unhex(salt), rounds);
    if (said) return said;
  }
  return `✗${text} is not it; ${hint}`;
}

for (const form of document.querySelectorAll("form.check")) {
  const said = form.querySelector("output");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const text = form.querySelector("input").value;
    const found = text.trim() ? await judged(text.slice(0, 200), JSON.parse(form.dataset.check)) : "";
    said.dataset.state = { "✓": "right", "✗": "wrong" }[found[0]] ?? "";
    const sign = document.createElement("b");
    sign.textContent = found && `${found[0]} ${form.dataset.question}`;
    said.replaceChildren(sign, ` ${found.slice(1)}`);
  });
}

// ---------------------------------------------------------------- slides: one section a screen

const main = document.querySelector("main");
const screens = [];
for (const cell of main.querySelectorAll(":scope > .jp-Cell")) {
  if (cell.querySelector("details.code") && !cell.querySelector(".jp-OutputArea-output")) continue;
  const has = (what, cells = [cell]) => cells.some((one) => one.querySelector(what));
  const asks = /^\s*Check \d/.test(cell.textContent);
  cell.classList.toggle("asks", asks); // on paper with the room for its answer
  const before = screens.at(-1);
  // A figure would give the prediction before it away.
  const starts = !before || asks || has("h1, h2") || has(".predict", before) || (has(".predict") && has(".figure", before));
  if (starts) screens.push([cell]);
  else before.push(cell);
}
for (const [first] of screens) first.classList.add("slide"); // a sheet of its own on paper
const bar = document.createElement("nav");
bar.className = "slide-bar";
bar.setAttribute("aria-label", "slides");
const place = document.createElement("span");
place.setAttribute("role", "status");
const button = (text, label, act) => {
  const one = document.createElement("button");
  Object.assign(one, { type: "button", textContent: text, ariaLabel: label });
  one.addEventListener("click", act);
  return one;
};
let shown = 0;
function show(number) {
  shown = Math.max(0, Math.min(screens.length - 1, number));
  const on = document.body.classList.contains("slides");
  screens.forEach((cells, i) => cells.forEach((cell) => cell.classList.toggle("elsewhere", on && i !== shown)));
  place.textContent = `${shown + 1} / ${screens.length}`;
  if (on) scrollTo(0, 0);
  dispatchEvent(new Event("resize"));
}
function slides(on) {
  document.body.classList.toggle("slides", on);
  history.replaceState(null, "", on ? "#slides" : location.pathname + location.search);
  start.hidden = on;
  show(shown);
}
bar.append(button("‹", "back", () => show(shown - 1)), place, button("›", "next", () => show(shown + 1)),
  button("×", "leave the slides", () => slides(false)));
const start = button("slides", "show as slides", () => slides(true));
start.className = "all-code";
main.prepend(start);
document.body.append(bar);
addEventListener("keydown", (event) => {
  const busy = event.target.closest?.("input, select, textarea, [role=slider], .figure");
  if (!document.body.classList.contains("slides") || busy || event.altKey || event.ctrlKey || event.metaKey) return;
  const step = { ArrowRight: 1, PageDown: 1, " ": 1, ArrowLeft: -1, PageUp: -1 }[event.key];
  if (event.key === " " && event.target.closest("button, summary, a")) return;
  if (event.key === "Escape") slides(false);
  else if (step) {
    event.preventDefault();
    show(shown + step);
  }
});
if (location.hash === "#slides") slides(true);
})();

// What the scripts around a figure share, in a page and in a widget.
var figureParts = (() => {
  const bytes = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));

  const made = (tag, values = {}, ...inner) => {
    const element = Object.assign(document.createElement(tag), values);
    element.append(...inner);
    return element;
  };

  // The text of a name as plotly shows it: its tags taken out, its entities read.
  const plain = (text, between = " ") => {
    const broken = String(text ?? "").replace(/<br\s*\/?>/gi, between);
    if (!/[<&]/.test(broken)) return broken.trim();
    return new DOMParser().parseFromString(broken, "text/html").body.textContent.trim();
  };

  function saveFile(name, content, type) {
    const link = made("a", { href: URL.createObjectURL(new Blob([content], { type })), download: name });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  }

  function saveCsv(name, rows) {
    const quoted = (value) => {
      // A spreadsheet would take such text for a formula.
      const text = String(value);
      const safe = /^[=+\-@\t]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text;
      return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
    };
    const lines = rows.map((row) => `${row.map(quoted).join()}\r\n`);
    saveFile(name, `\ufeff${lines.join("")}`, "text/csv");
  }

  // What a link to "#light:…" speaks of: "points" or "anticipated" is a layer of traces, "2" the
  // second panel, "2.points" both. Returns whether a trace belongs to it.
  function lit(wanted) {
    const [panel, layer] = /^\d/.test(wanted) ? wanted.split(".") : [null, wanted];
    return (itsPanel, itsLayer) => (!panel || itsPanel === Number(panel))
      && (!layer || itsLayer === layer || itsLayer === "readout"); // numbers are for every layer
  }

  // What stands beside the pointer, in an element that is no narrower than it.
  function tipIn(parent) {
    const tip = made("div", { className: "figure-tip", hidden: true });
    parent.append(tip);
    const hide = () => { tip.hidden = true; };
    function show({ clientX, clientY }, ...content) {
      tip.replaceChildren(...content);
      tip.hidden = false;
      tip.style.left = 0; // where it is as wide as it may be
      const { width, height } = tip.getBoundingClientRect();
      const { left, top } = parent.getBoundingClientRect();
      const x = Math.max(Math.min(clientX + 14, innerWidth - width - 8), 8);
      const y = clientY + 20 + height > innerHeight ? clientY - height - 20 : clientY + 20;
      Object.assign(tip.style, { left: `${x - left}px`, top: `${y - top}px` });
    }
    return { show, hide };
  }

  return { bytes, made, plain, saveFile, saveCsv, lit, tipIn };
})();

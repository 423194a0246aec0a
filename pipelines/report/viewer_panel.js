"use strict";
/* What stands beside the points: the choice of colours, the legend, the search, the buttons. */
const whorlPanel = (() => {
  const MOST_RINGS = 500;

  function make(tag, words, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(words || {})) {
      if (name in element && name !== "list") element[name] = value;
      else element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  }

  const count = (value) => value.toLocaleString("en");
  const short = (value) => (Math.abs(value) >= 1e6 || (value && Math.abs(value) < 1e-3) ? value.toExponential(2) : value.toLocaleString("en", { maximumSignificantDigits: 4 }));

  /* Which points the legend hides: one set of entries for each column, one for landmarks and placed points. */
  class Hidden {
    constructor() { this.sets = new Map(); }
    of(name) { if (!this.sets.has(name)) this.sets.set(name, new Set()); return this.sets.get(name); }
    toggle(name, entry) { const set = this.of(name); if (!set.delete(entry)) set.add(entry); }
    isolate(name, entry, all) {
      const set = this.of(name), alone = !set.has(entry) && set.size === all.length - 1;
      set.clear();
      if (!alone) for (const other of all) if (other !== entry) set.add(other);
    }
  }

  /* The entries of a column: [{ entry, name, colour, size }]; a scale has at most one, for points without a value. */
  function entries(column, colourOf) {
    if (!column) return [];
    if (!column.texts) return column.missing ? [{ entry: "none", name: "no value", colour: colourOf("--c-none"), size: column.missing }] : [];
    const found = [];
    for (let code = 0; code < column.own; code++) {
      found.push({ entry: code, name: column.texts[code], colour: colourOf(column.colours[code]), size: column.sizes[code] });
    }
    const named = column.none >= 0 ? column.texts.length - 1 : column.texts.length;
    if (named > column.own) {
      const size = column.sizes.slice(column.own, named).reduce((a, b) => a + b, 0);
      found.push({ entry: "other", name: `${count(named - column.own)} others`, colour: colourOf("--c-other"), size });
    }
    if (column.none >= 0) found.push({ entry: "none", name: "no value", colour: colourOf("--c-none"), size: column.sizes[column.none] });
    return found;
  }

  function entryOf(column, i) {
    if (!column) return null;
    if (!column.texts) return Number.isFinite(column.values[i]) ? null : "none";
    const code = column.codes[i];
    return code === column.none ? "none" : code >= column.own ? "other" : code;
  }

  /* A list of switches: click hides, double click shows it alone. */
  function switches(list, hidden, name, changed) {
    const set = hidden.of(name), box = make("ul", { className: "switches" });
    const all = list.map((one) => one.entry);
    for (const one of list) {
      const dot = make("i", { className: one.shape ? `dot ${one.shape}` : "dot" });
      if (one.colour) dot.style.background = one.colour;
      const words = [dot, make("span", { className: "name", textContent: one.name, title: one.name }), make("span", { className: "count", textContent: count(one.size) })];
      const button = make("button", { type: "button", "aria-pressed": String(!set.has(one.entry)) }, ...words);
      button.addEventListener("click", () => { hidden.toggle(name, one.entry); changed(); });
      button.addEventListener("dblclick", () => { hidden.isolate(name, one.entry, all); changed(); });
      box.append(make("li", {}, button));
    }
    return { box, refresh() { [...box.querySelectorAll("button")].forEach((button, n) => button.setAttribute("aria-pressed", String(!set.has(all[n])))); } };
  }

  /* The ramp of a column of numbers with the values at its ends. */
  function ramp(column, gradient) {
    const bar = make("div", { className: "scale" });
    bar.style.background = `linear-gradient(90deg, ${gradient.join(", ")})`;
    const ends = column.known ? [short(column.low), column.log ? "logarithmic" : "", short(column.high)] : ["", "no values", ""];
    return make("div", { className: "scale-box" }, bar, make("div", { className: "scale-ends" }, ...ends.map((text) => make("span", { textContent: text }))));
  }

  /* Points whose id holds the words; one that is exactly them comes first. */
  function find(ids, words) {
    const sought = words.trim().toLowerCase(), found = [];
    if (!sought) return null;
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i];
      if (id === sought) found.unshift(i);
      else if (id.includes(sought)) found.push(i);
    }
    return found;
  }

  /* The search box. looked(found, at): found points or null, and which of them is in the middle (-1: none). */
  function search(ids, looked) {
    const lower = ids.map((id) => id.toLowerCase());
    const input = make("input", { type: "search", placeholder: "Find an id", "aria-label": "Find a point by its id", autocomplete: "off", spellcheck: false });
    const told = make("span", { className: "told", role: "status" });
    const buttons = [["‹", -1, "previous"], ["›", 1, "next"]].map(([text, step, title]) => {
      const button = make("button", { type: "button", textContent: text, title, "aria-label": title, hidden: true });
      button.addEventListener("click", () => go(step));
      return button;
    });
    let found = null, at = -1;
    function tell() {
      for (const button of buttons) button.hidden = !found || found.length < 2;
      told.textContent = !found ? "" : !found.length ? "none" : at < 0 ? `${count(found.length)} found` : found.length === 1 ? ids[found[0]] : `${count(at + 1)} of ${count(found.length)}`;
      looked(found, at);
    }
    function go(step) {
      if (!found || !found.length) return;
      at = at < 0 ? (step > 0 ? 0 : found.length - 1) : (at + step + found.length) % found.length;
      tell();
    }
    input.addEventListener("input", () => {
      found = find(lower, input.value);
      at = found && found.length === 1 ? 0 : -1;
      tell();
    });
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") { event.preventDefault(); go(event.shiftKey ? -1 : 1); }
      if (event.key === "Escape") { input.value = ""; found = null; at = -1; tell(); }
    });
    return {
      box: make("div", { className: "search" }, input, ...buttons, told),
      clear() { input.value = ""; found = null; at = -1; tell(); },
      pick(i) { input.value = ids[i]; found = [i]; at = 0; tell(); },
    };
  }

  return { make, count, short, Hidden, entries, entryOf, switches, ramp, search, MOST_RINGS };
})();

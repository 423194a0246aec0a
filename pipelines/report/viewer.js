"use strict";
/* Points that the reader turns, in place of their still picture. page.html holds for each viewer:
   told: { n, flat, unit, first, far, tilt: [9], reach: [2], size, steps, ramp }, places: base64 of float32 (n, 3),
   columns: base64 of gzipped JSON { ids, counts, placed, columns: [{ name, texts, codes, sizes, colours, own, none } or { name, values }] }.
   "#plain" or "#webgl" behind the address of the page chooses its painter. window.whorlViews: fulfilled when all are painted. */
(() => {
  const { make, count } = whorlPanel;
  const dark = matchMedia("(prefers-color-scheme: dark)"), calm = matchMedia("(prefers-reduced-motion: reduce)");
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const pen = document.createElement("canvas").getContext("2d");

  function rgb(colour) { /* any CSS colour as three numbers */
    pen.fillStyle = "#000";
    pen.fillStyle = colour;
    return [1, 3, 5].map((at) => parseInt(pen.fillStyle.slice(at, at + 2), 16));
  }

  function bytes(text) {
    const letters = atob(text.trim()), found = new Uint8Array(letters.length);
    for (let i = 0; i < letters.length; i++) found[i] = letters.charCodeAt(i);
    return found;
  }

  const numbers = (graph) => graph && new (graph.dtype === "f4" ? Float32Array : Int32Array)(bytes(graph.bdata).buffer);

  async function unpacked(text) {
    const stream = new Blob([bytes(text)]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).json();
  }

  function read(column) {
    if (column.texts) return { ...column, codes: numbers(column.codes) };
    const values = numbers(column.values), known = values.filter(Number.isFinite);
    const low = known.reduce((a, b) => Math.min(a, b), Infinity), high = known.reduce((a, b) => Math.max(a, b), -Infinity);
    return { ...column, values, known: known.length, missing: values.length - known.length, low, high, log: low > 0 && high > 100 * low };
  }

  /* Matrices are lists of 9, row by row. */
  const times = (a, b) => a.map((_, at) => [0, 1, 2].reduce((sum, k) => sum + a[3 * Math.floor(at / 3) + k] * b[3 * k + at % 3], 0));
  function about(axis, angle) {
    const c = Math.cos(angle), s = Math.sin(angle);
    return { x: [1, 0, 0, 0, c, -s, 0, s, c], y: [c, 0, s, 0, 1, 0, -s, 0, c], z: [c, -s, 0, s, c, 0, 0, 0, 1] }[axis];
  }
  function straight(t) { /* what many small turns left of a rotation, made one again */
    const unit = (v) => v.map((part) => part / Math.hypot(...v));
    const a = unit(t.slice(0, 3)), dot = a[0] * t[3] + a[1] * t[4] + a[2] * t[5];
    const b = unit([t[3] - dot * a[0], t[4] - dot * a[1], t[5] - dot * a[2]]);
    return [...a, ...b, a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
  }

  class Viewer {
    constructor(figure) {
      const block = (name) => figure.querySelector(`[data-of="${name}"]`).textContent;
      this.figure = figure;
      this.block = block;
      this.told = JSON.parse(block("told"));
      this.stage = figure.querySelector(".stage");
      this.hidden = new whorlPanel.Hidden();
      this.found = null;
      this.at = -1;
      this.picked = -1;
      this.wider = 1;
      this.queued = false;
    }

    async open() {
      const { told } = this, n = told.n;
      const rest = await unpacked(this.block("columns"));
      this.ids = rest.ids;
      this.columns = rest.columns.map(read);
      this.column = this.columns[told.first];
      this.counts = numbers(rest.counts);
      this.placed = numbers(rest.placed);
      const base = told.size * 1.0;
      this.scene = { n, places: new Float32Array(bytes(this.block("places")).buffer), paint: new Uint8Array(4 * n), sizes: new Float32Array(n).fill(base), shapes: new Uint8Array(n) };
      for (let i = 0; i < n; i++) {
        if (this.counts) this.scene.sizes[i] = base * Math.min(5, 1 + told.steps * Math.log2(Math.max(1, this.counts[i])));
        if (this.placed && !this.placed[i]) [this.scene.shapes[i], this.scene.sizes[i]] = [1, this.scene.sizes[i] * 1.7];
      }
      this.seen = whorlPaint.room(n);
      this.reset();
      this.build();
      this.start(location.hash.slice(1));
    }

    reset() {
      Object.assign(this, { turn: [...this.told.tilt], aim: [0, 0, 0], zoom: 1, spinning: false });
    }

    build() {
      const { figure, stage } = this;
      this.marks = make("canvas", { className: "marks" });
      this.marks.setAttribute("aria-hidden", "true");
      stage.append(this.marks);
      this.panel = make("div", { className: "panel" });
      this.bar = make("div", { className: "bar" });
      const box = make("div", { className: "looking" });
      stage.replaceWith(box);
      box.append(stage, this.panel, this.bar);
      whorlHands.controls(this);
      this.fillPanel();
      stage.tabIndex = 0;
      stage.setAttribute("role", "application");
      stage.setAttribute("aria-label", `${figure.querySelector(".figure-title").textContent}: arrows turn, with Shift they move; plus and minus zoom, 0 resets`);
      whorlHands.gestures(this);
      new ResizeObserver(() => this.draw()).observe(stage);
      const again = () => { this.fillPanel(); this.recolour(); };
      dark.addEventListener("change", again);
      addEventListener("beforeprint", () => this.still());
    }

    start(wish) {
      const canvas = () => make("canvas", { className: "points" });
      const old = this.painter;
      this.painter = whorlPaint.painter(canvas, wish);
      if (old) old.canvas.remove();
      this.stage.insertBefore(this.painter.canvas, this.marks);
      this.painter.canvas.addEventListener("webglcontextlost", () => this.start("plain"));
      this.colour();
      this.painter.load(this.scene);
      this.drawNow();
      this.figure.classList.add("drawn");
      Object.assign(this.figure.dataset, { painter: this.painter.kind, painted: performance.now().toFixed(0) });
    }

    fillPanel() {
      const { columns, column, hidden } = this, parts = [];
      this.paper = rgb(style("--card"));
      this.ink = rgb(style("--ink"));
      if (columns.length) {
        const select = make("select", { "aria-label": "Colour by" }, ...columns.map((one, k) => make("option", { value: String(k), textContent: one.name, selected: one === column })));
        select.addEventListener("change", () => { this.column = columns[Number(select.value)]; this.fillPanel(); this.recolour(); });
        parts.push(make("label", { className: "by" }, make("span", { textContent: "Colour" }), select));
      }
      if (!this.search) this.search = whorlPanel.search(this.ids, (found, at) => this.look(found, at));
      parts.push(this.search.box);
      this.switches = [];
      if (this.placed) {
        const n = this.placed.reduce((sum, one) => sum + one, 0);
        const kinds = [{ entry: 0, name: "landmarks", shape: "diamond", size: this.placed.length - n }, { entry: 1, name: "placed", shape: "round", size: n }];
        this.switches.push(whorlPanel.switches(kinds, hidden, " kinds", () => this.recolour()));
      }
      if (column && !column.texts) parts.push(whorlPanel.ramp(column, this.ramp()));
      const list = whorlPanel.entries(column, style);
      if (list.length) this.switches.push(whorlPanel.switches(list, hidden, column.name, () => this.recolour()));
      parts.push(...this.switches.map((one) => one.box));
      this.all = make("button", { type: "button", className: "all", textContent: "Show all", hidden: true });
      this.all.addEventListener("click", () => { hidden.sets.clear(); this.fillPanel(); this.recolour(); });
      parts.push(this.all);
      this.panel.replaceChildren(...parts);
    }

    /* The colours of a column of numbers from low to high: what is high stands out from the page. */
    ramp() {
      const steps = this.told.ramp.map((part) => `rgb(${part.join(", ")})`), cut = Math.round(steps.length * 0.2);
      return dark.matches ? steps.slice(cut) : steps.slice(0, steps.length - cut).reverse();
    }

    colour() {
      const { scene, column, hidden, placed, found } = this, { paint } = scene;
      const off = column ? hidden.of(column.name) : new Set(), kinds = hidden.of(" kinds");
      const none = rgb(style("--c-none")), other = rgb(style("--c-other")), plain = rgb(style("--accent"));
      const own = column && column.texts ? column.colours.map((name) => rgb(style(name))) : null;
      const steps = column && !column.texts ? this.ramp().map(rgb) : null;
      const raise = column && column.log ? Math.log : (value) => value;
      const low = steps ? raise(column.low) : 0, span = steps ? (raise(column.high) - low) || 1 : 1;
      const isFound = found ? new Set(found) : null;
      for (let i = 0; i < scene.n; i++) {
        const entry = whorlPanel.entryOf(column, i);
        let colour = plain;
        if (entry === "none") colour = none;
        else if (entry === "other") colour = other;
        else if (own) colour = own[entry];
        else if (steps) colour = steps[Math.min(steps.length - 1, Math.floor((raise(column.values[i]) - low) / span * steps.length))];
        paint.set(colour, 4 * i);
        const shown = (entry === null || !off.has(entry)) && !(placed && kinds.has(placed[i]));
        paint[4 * i + 3] = !shown ? 0 : isFound && !isFound.has(i) ? 128 : 255;
      }
    }

    recolour() {
      this.colour();
      this.painter.repaint(this.scene);
      for (const one of this.switches) one.refresh();
      this.all.hidden = ![...this.hidden.sets.values()].some((set) => set.size);
      this.draw();
    }

    look(found, at) {
      const was = this.found;
      [this.found, this.at] = [found, at];
      if (was !== found) this.recolour();
      if (found && at >= 0) this.centre(found[at]);
      else this.draw();
    }

    /* Brings a point into the middle. */
    centre(i) {
      const from = [...this.aim], to = [0, 1, 2].map((k) => this.scene.places[3 * i + k]), begun = performance.now();
      const step = (now) => {
        const part = calm.matches ? 1 : Math.min(1, Math.max(0, (now - begun) / 350)), eased = part * part * (3 - 2 * part);
        this.aim = from.map((value, k) => value + (to[k] - value) * eased);
        this.draw();
        if (part < 1) requestAnimationFrame(step);
      };
      step(begun);
    }

    view(sharp) {
      const { reach } = this.told, width = Math.max(1, this.stage.clientWidth), height = Math.max(1, this.stage.clientHeight);
      return {
        turn: this.turn, aim: this.aim, unit: Math.min(0.46 * width / reach[0], 0.44 * height / reach[1]) * this.zoom, far: this.told.far,
        grow: this.wider * Math.min(4, Math.sqrt(this.zoom)) * Math.min(1, Math.max(0.6, width / 700)), width, height,
        sharp: sharp || Math.min(3, devicePixelRatio || 1), paper: this.paper, ink: this.ink,
      };
    }

    draw() {
      if (this.queued || !this.painter) return;
      this.queued = true;
      requestAnimationFrame(() => { this.queued = false; this.drawNow(); });
    }

    drawNow(sharp) {
      const view = this.view(sharp);
      this.stale = true;
      this.painter.draw(view);
      whorlHands.marks(this, view);
      return view;
    }

    /* Turn about the page's upright and level axes, radians. */
    turnBy(across, down, roll = 0) {
      const turned = times(times(about("y", across), about("x", down)), times(about("z", roll), this.turn));
      this.turn = straight(this.told.flat ? times(about("z", roll), this.turn) : turned);
      this.draw();
    }

    /* Move what is seen, pixels. */
    moveBy(x, y) {
      const { unit } = this.view(), t = this.turn;
      this.aim = this.aim.map((value, k) => value - (t[k] * x - t[3 + k] * y) / unit);
      this.draw();
    }

    /* What lies at (x, y) pixels from the middle stays there. */
    zoomBy(factor, x = 0, y = 0) {
      const next = Math.min(400, Math.max(0.2, this.zoom * factor)), real = next / this.zoom;
      this.moveBy(x * (1 / real - 1), y * (1 / real - 1));
      this.zoom = next;
      this.draw();
    }

    /* The point nearest to (x, y) of the stage, the one in front where several are; -1: none. */
    nearest(x, y) {
      const view = this.view();
      if (this.stale) whorlPaint.project(this.scene, view, this.seen);
      this.stale = false;
      const { seen, scene } = this;
      let best = -1, least = Infinity;
      for (let i = 0; i < scene.n; i++) {
        if (!seen.near[i]) continue;
        const reach = whorlPaint.across(scene, view, seen.near[i], i) / 2 + 3, apart = Math.hypot(seen.x[i] - x, seen.y[i] - y);
        if (apart > reach) continue;
        const rank = apart / reach - 2 * seen.near[i];
        if (rank < least) [best, least] = [i, rank];
      }
      return best;
    }

    words(i) {
      const lines = [this.ids[i]];
      for (const column of this.columns) {
        const value = column.texts ? column.texts[column.codes[i]] : Number.isFinite(column.values[i]) ? whorlPanel.short(column.values[i]) : "no value";
        lines.push(`${column.name} ${value}`);
      }
      if (this.counts && this.counts[i] > 1) lines.push(`stands for ${count(this.counts[i])} records`);
      return lines.join("\n");
    }

    legend() {
      const off = this.column ? this.hidden.of(this.column.name) : new Set();
      return whorlPanel.entries(this.column, style).filter((one) => !off.has(one.entry)).map((one) => [one.colour, one.name]);
    }

    inks() { return { card: style("--card"), ink: style("--ink"), quiet: style("--quiet"), text: style("--text") }; }

    save(kind) {
      const name = `${document.title.replace(/[^\p{L}\p{N}]+/gu, "-").slice(0, 60)}-map`;
      if (kind === "svg") return whorlSave.hand(new Blob([this.svg()], { type: "image/svg+xml" }), `${name}.svg`);
      this.picture().toBlob((blob) => whorlSave.hand(blob, `${name}.png`));
    }

    svg() {
      const view = this.view(1);
      return whorlSave.svg(this.scene, view, this.inks(), this.legend(), whorlHands.ruler(this, view));
    }

    picture() {
      const view = this.drawNow(Math.max(2, devicePixelRatio || 1));
      const made = whorlSave.composed(view, this.painter.canvas, this.marks, this.inks(), this.legend());
      this.drawNow();
      return made;
    }

    /* For printing: the view as a picture, since a page on paper has no WebGL. */
    still() {
      if (!this.painter) return;
      this.figure.classList.toggle("other-colours", this.column !== this.columns[this.told.first]);
      this.paper = [255, 255, 255];
      this.drawNow(2);
      const image = this.print || make("img", { className: "print", alt: "" });
      image.src = this.painter.canvas.toDataURL();
      this.print = image;
      this.stage.append(image);
      this.paper = rgb(style("--card"));
      this.drawNow();
    }
  }

  const figures = [...document.querySelectorAll("figure[data-viewer]")];
  window.whorlViews = Promise.all(figures.map(async (figure) => {
    figure.view = new Viewer(figure);
    try {
      await figure.view.open();
    } catch (error) { /* the still picture stays */
      figure.dataset.painter = "none";
      console.error("the map could not be drawn:", error);
    }
  }));
})();

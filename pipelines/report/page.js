"use strict";
/* Draws the figures over their still pictures. Without this script the page stays readable.

   drawings: { name: { graph: plotly figure, tips, log_low, log_top: ends of the logarithmic scale } }
   A text that starts with "--" is a colour of page.css and follows light and dark.
   A trace with meta "cloud" is painted as one picture below the others: thousands of marks of plotly's
   own would take seconds. Zooming paints it anew, and saving the figure as a picture keeps it.
   tips of a map:    { cells: [name of each row], unit, digits }     value at the pointer
   tips of marks:    { texts: [[text of each mark] of each trace] }
   tips of points:   { columns: [[{ name, unit, and one of: axis: "x", "y" or "z"; value; values: [of each mark];
                       values and texts: values are places in texts; raised: its power is meant }] of each trace] }
   tips of a copy:   { of: name of the figure that has them } */
(() => {
  const block = document.getElementById("drawings");
  const drawings = block ? JSON.parse(block.textContent) : {};
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const coarse = matchMedia("(pointer: coarse)"); /* there a drag scrolls the page */
  let printing = false;

  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const isDark = () => dark.matches && !printing;

  /* A copy of a graph with the colours of the page as it is now. */
  function coloured(value) {
    if (typeof value === "string") return value.startsWith("--") ? style(value) : value;
    if (Array.isArray(value)) return value.map(coloured);
    if (value === null || typeof value !== "object") return value;
    const copy = {};
    for (const key of Object.keys(value)) copy[key] = coloured(value[key]);
    /* near is always what stands out from the page: dark on light, light on dark */
    if (copy.meta === "distance-map") copy.reversescale = isDark();
    if (copy.meta === "density") copy.reversescale = isDark(); /* and so are many pairs */
    return copy;
  }

  function layout(figure, drawing) {
    const own = coloured(drawing.graph.layout);
    const axis = {
      gridcolor: style("--line"), linecolor: style("--line"), zerolinecolor: style("--line"),
      tickcolor: style("--line"), automargin: true, fixedrange: false, title: { standoff: 8 },
    };
    const base = {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", autosize: true, showlegend: false,
      font: { family: style("--text"), size: 13, color: style("--quiet") },
      margin: { l: 52, r: 12, t: 8, b: 44 }, bargap: 0.04, dragmode: coarse.matches ? false : "zoom", hovermode: "closest",
      modebar: { bgcolor: "rgba(0,0,0,0)", color: style("--quiet"), activecolor: style("--ink") },
    };
    const merged = { ...base, ...own };
    for (const key of Object.keys(merged)) {
      if (/^[xy]axis/.test(key)) merged[key] = { ...axis, ...merged[key] };
    }
    const pressed = figure.querySelector('[data-scale][aria-pressed="true"]');
    if (pressed && pressed.dataset.scale === "log") {
      const range = [Math.log10(drawing.log_low), Math.log10(Math.max(drawing.log_top, drawing.log_low * 1.5) * 1.3)];
      merged.yaxis = { ...merged.yaxis, type: "log", range, dtick: range[1] - range[0] > 1.5 ? 1 : null };
    }
    return merged;
  }

  const tip = document.getElementById("tip");
  function showTip(text, event) {
    if (!text) return;
    tip.textContent = text; /* foreign names: text only, never markup */
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    const x = event.clientX + 14 + box.width > innerWidth ? event.clientX - box.width - 14 : event.clientX + 14;
    const y = event.clientY + 18 + box.height > innerHeight ? event.clientY - box.height - 14 : event.clientY + 18;
    tip.style.left = Math.max(4, x) + "px";
    tip.style.top = Math.max(4, y) + "px";
  }
  window.whorlTip = showTip;

  function told(column, point) {
    let value = "value" in column ? column.value : column.axis ? point[column.axis] : column.values[point.pointNumber];
    if (column.raised) value = Math.round(column.raised ** value);
    if (column.texts) value = column.texts[value];
    if (typeof value === "number" && !Number.isInteger(value)) {
      value = Math.abs(value) < 1e6 ? value.toLocaleString("en", { maximumSignificantDigits: 5 }) : value.toExponential(4);
    } else if (typeof value === "number") value = value.toLocaleString("en");
    return [column.name, value, column.unit].filter((word) => word !== undefined && word !== "").join(" ");
  }

  function tipText(tips, point) {
    if (tips.of) return tipText(drawings[tips.of].tips, point);
    if (tips.columns) return (tips.columns[point.curveNumber] || []).map((column) => told(column, point)).join("\n");
    if (tips.texts) return (tips.texts[point.curveNumber] || [])[point.pointNumber];
    if (!tips.cells) return "";
    const [row, column] = Array.isArray(point.pointNumber) ? point.pointNumber : [-1, -1];
    if (point.data.meta !== "distance-map") return tips.cells[point.data.meta === "strip-top" ? column : row];
    const value = Number.isFinite(point.z) ? point.z.toFixed(tips.digits) : "missing";
    return tips.cells[row] + "\n" + tips.cells[column] + "\n" + tips.unit + " " + value;
  }

  const config = {
    responsive: true, displaylogo: false, showTips: false,
    /* named one by one: plotly's own set has a button that sends the data to its makers' server */
    modeBarButtons: [["toImage", "resetScale2d"]], displayModeBar: true, plotlyServerURL: "",
  };

  function numbers(graph) {
    const bytes = Uint8Array.from(atob(graph.bdata), (letter) => letter.charCodeAt(0));
    return new (graph.dtype === "f4" ? Float32Array : Int32Array)(bytes.buffer);
  }

  /* What plotly needs of a cloud: two unseen marks that span its axes. */
  function stand(trace) {
    if (trace.meta !== "cloud") return coloured(trace);
    const ends = (values) => [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];
    const x = ends(numbers(trace.x)), y = ends(numbers(trace.y));
    return { type: "scatter", mode: "markers", x, y, marker: { opacity: 0 }, hoverinfo: "skip" };
  }

  /* The cloud as a picture of the axes as they are now. */
  function paint(live, cloud) {
    const { xaxis, yaxis } = live._fullLayout, sharp = 2;
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(xaxis._length * sharp));
    canvas.height = Math.max(1, Math.round(yaxis._length * sharp));
    const pen = canvas.getContext("2d");
    pen.globalAlpha = cloud.opacity;
    const palette = cloud.palette.map(coloured), radius = cloud.size * sharp / 2;
    for (let n = 0; n < cloud.x.length; n++) {
      const x = xaxis.l2p(cloud.x[n]) * sharp, y = yaxis.l2p(cloud.y[n]) * sharp;
      if (x < -radius || y < -radius || x > canvas.width + radius || y > canvas.height + radius) continue;
      pen.fillStyle = palette[cloud.codes[n]];
      pen.beginPath();
      pen.arc(x, y, radius, 0, 7);
      pen.fill();
    }
    const [left, right] = xaxis.range, [bottom, top] = yaxis.range;
    const place = { xref: "x", yref: "y", x: left, y: top, sizex: right - left, sizey: top - bottom };
    return { ...place, source: canvas.toDataURL(), sizing: "stretch", layer: "below" };
  }

  /* Keeps the picture of a figure's cloud as its axes are, and tells of the point nearest to the pointer. */
  function follow(live, drawing, trace) {
    const cloud = {
      x: numbers(trace.x), y: numbers(trace.y), codes: numbers(trace.marker.color), size: trace.marker.size,
      opacity: trace.marker.opacity, palette: trace.marker.colorscale.filter((step, n) => n % 2).map((step) => step[1]),
    };
    let painted = "", onMark = false;
    const repaint = () => {
      const { xaxis, yaxis } = live._fullLayout;
      const now = [...xaxis.range, ...yaxis.range, xaxis._length, yaxis._length, isDark()].join(" ");
      if (now === painted && (live.layout.images || []).length) return;
      painted = now;
      Plotly.relayout(live, { images: [paint(live, cloud)] });
    };
    live.on("plotly_afterplot", repaint);
    live.on("plotly_hover", () => { onMark = true; });
    live.on("plotly_unhover", () => { onMark = false; });
    live.addEventListener("mouseleave", () => { tip.hidden = true; });
    live.addEventListener("mousemove", (event) => {
      if (onMark) return;
      const { xaxis, yaxis } = live._fullLayout, box = live.getBoundingClientRect();
      const x = event.clientX - box.left - xaxis._offset, y = event.clientY - box.top - yaxis._offset;
      let near = -1, least = (cloud.size / 2 + 4) ** 2;
      for (let n = 0; n < cloud.x.length; n++) {
        const apart = (xaxis.l2p(cloud.x[n]) - x) ** 2 + (yaxis.l2p(cloud.y[n]) - y) ** 2;
        if (apart <= least) [near, least] = [n, apart];
      }
      tip.hidden = true;
      if (near >= 0) showTip(tipText(drawing.tips, { curveNumber: 0, pointNumber: near, data: trace }), event);
    });
    repaint();
  }

  async function draw(figure) {
    const drawing = drawings[figure.dataset.figure];
    const live = figure.querySelector(".live");
    await Plotly.react(live, drawing.graph.data.map(stand), layout(figure, drawing), config);
    if (figure.classList.contains("drawn")) return;
    figure.classList.add("drawn");
    live.on("plotly_hover", (event) => showTip(tipText(drawing.tips, event.points[0]), event.event));
    live.on("plotly_unhover", () => { tip.hidden = true; });
    const cloud = drawing.graph.data.find((trace) => trace.meta === "cloud");
    if (cloud) follow(live, drawing, cloud);
    const toggle = figure.querySelector(".toggle");
    if (!toggle) return;
    toggle.hidden = false;
    toggle.addEventListener("click", (event) => {
      if (!event.target.dataset.scale) return;
      for (const button of toggle.children) button.setAttribute("aria-pressed", button === event.target);
      draw(figure);
    });
  }

  async function unpack(id) {
    const packed = atob(document.getElementById(id).textContent.trim()), bytes = new Uint8Array(packed.length);
    for (let n = 0; n < packed.length; n++) bytes[n] = packed.charCodeAt(n);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  }

  const figures = [...document.querySelectorAll("figure[data-figure]")];
  const redraw = () => Promise.all(figures.map(draw));
  const breath = () => new Promise((done) => setTimeout(done, 0));

  /* One after the other: between two of them the page answers the reader. */
  async function drawAll() {
    for (const figure of figures) {
      await draw(figure);
      await breath();
    }
  }

  async function start() {
    await window.whorlViews; /* where there is a map of points it comes first */
    if (!figures.length) return;
    await breath();
    const script = document.createElement("script");
    script.textContent = await unpack("library");
    document.head.append(script);
    await drawAll();
    dark.addEventListener("change", redraw);
    addEventListener("beforeprint", () => { printing = true; redraw(); });
    addEventListener("afterprint", () => { printing = false; redraw(); });
    document.documentElement.dataset.drawn = "yes";
  }

  async function copy(button) {
    const text = button.parentElement.querySelector("pre").textContent;
    try {
      await navigator.clipboard.writeText(text);
    } catch { /* a page from a file may lack the clipboard: select, so that the reader's own keys copy */
      getSelection().selectAllChildren(button.parentElement.querySelector("pre"));
      button.textContent = document.execCommand("copy") ? "Copied" : "Press Ctrl+C";
      return;
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  }

  for (const button of document.querySelectorAll(".copy")) {
    button.hidden = false;
    button.addEventListener("click", () => copy(button));
  }
  start().catch((error) => {
    document.documentElement.dataset.drawn = "no"; /* the still pictures stay */
    console.error("the figures could not be drawn:", error);
  });
})();

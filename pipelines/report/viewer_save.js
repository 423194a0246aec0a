"use strict";
/* The present view as a file: PNG at twice its size, or SVG with a circle for each point. */
const whorlSave = (() => {
  const LISTED = 40; /* entries of a legend in a picture */
  const escaped = (text) => String(text).replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`).replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g, "");

  function hand(blob, name) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  /* legend: [[colour, name]], at most LISTED of them and a word on the rest */
  function shortened(legend) {
    const shown = legend.slice(0, LISTED).map(([colour, name]) => [colour, name.length > 34 ? name.slice(0, 33) + "…" : name]);
    return legend.length > LISTED ? [...shown, ["none", `and ${legend.length - LISTED} more`]] : shown;
  }

  /* The canvas of points with the marks and the legend, as a canvas of its own. */
  function composed(view, points, marks, style, legend) {
    const entries = shortened(legend), side = entries.length ? 250 : 0, { sharp } = view;
    const canvas = document.createElement("canvas");
    canvas.width = Math.round((view.width + side) * sharp);
    canvas.height = Math.round(Math.max(view.height, entries.length * 20 + 30) * sharp);
    const pen = canvas.getContext("2d");
    pen.fillStyle = style.card;
    pen.fillRect(0, 0, canvas.width, canvas.height);
    for (const layer of [points, marks]) pen.drawImage(layer, 0, 0, Math.round(view.width * sharp), Math.round(view.height * sharp));
    pen.scale(sharp, sharp);
    pen.font = `13px ${style.text}`;
    pen.textBaseline = "middle";
    entries.forEach(([colour, name], n) => {
      const y = 25 + 20 * n;
      pen.fillStyle = colour === "none" ? "transparent" : colour;
      pen.fillRect(view.width + 10, y - 6, 12, 12);
      pen.fillStyle = style.ink;
      pen.fillText(name, view.width + 30, y);
    });
    return canvas;
  }

  const rounded = (value) => Math.round(value * 10) / 10;

  /* The nearest points come last; hidden ones and those beside the picture are left out. */
  function svg(scene, view, style, legend, ruler) {
    const seen = whorlPaint.project(scene, view, whorlPaint.room(scene.n)), order = [];
    for (let i = 0; i < scene.n; i++) {
      if (seen.near[i] && seen.x[i] > -20 && seen.y[i] > -20 && seen.x[i] < view.width + 20 && seen.y[i] < view.height + 20) order.push(i);
    }
    order.sort((a, b) => seen.near[a] - seen.near[b]);
    const entries = shortened(legend), width = view.width + (entries.length ? 250 : 0);
    const height = Math.max(view.height, entries.length * 20 + 30);
    const parts = [`<svg xmlns="http://www.w3.org/2000/svg" width="${rounded(width)}" height="${rounded(height)}" viewBox="0 0 ${rounded(width)} ${rounded(height)}" font-family="${escaped(style.text)}" font-size="13">`,
      `<rect width="100%" height="100%" fill="${escaped(style.card)}"/>`,
      `<clipPath id="c"><rect width="${rounded(view.width)}" height="${rounded(view.height)}"/></clipPath><g clip-path="url(#c)">`];
    const hex = (part) => Math.round(part).toString(16).padStart(2, "0");
    for (const i of order) {
      const fade = whorlPaint.faded(scene, view, seen.near[i], i);
      const colour = "#" + [0, 1, 2].map((k) => hex(scene.paint[4 * i + k] * (1 - fade) + view.paper[k] * fade)).join("");
      const x = rounded(seen.x[i]), y = rounded(seen.y[i]), radius = rounded(whorlPaint.across(scene, view, seen.near[i], i) / 2);
      parts.push(scene.shapes[i]
        ? `<path d="M${x} ${rounded(y - radius)}l${radius} ${radius}l-${radius} ${radius}l-${radius}-${radius}z" fill="${colour}" stroke="${escaped(style.ink)}" stroke-width=".8"/>`
        : `<circle cx="${x}" cy="${y}" r="${radius}" fill="${colour}"/>`);
    }
    parts.push("</g>");
    if (ruler) {
      const y = rounded(view.height - 16);
      parts.push(`<path d="M16 ${y - 4}v4h${rounded(ruler.pixels)}v-4" fill="none" stroke="${escaped(style.quiet)}"/><text x="16" y="${y - 9}" fill="${escaped(style.quiet)}">${escaped(ruler.text)}</text>`);
    }
    entries.forEach(([colour, name], n) => {
      const y = 25 + 20 * n;
      parts.push(`<rect x="${rounded(view.width + 10)}" y="${y - 6}" width="12" height="12" fill="${escaped(colour)}"/><text x="${rounded(view.width + 30)}" y="${y + 4}" fill="${escaped(style.ink)}">${escaped(name)}</text>`);
    });
    return parts.join("") + "</svg>";
  }

  return { hand, composed, svg };
})();

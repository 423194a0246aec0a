"use strict";
/* Mouse, touch and keys on a viewer, its buttons, and the marks over its points. */
const whorlHands = (() => {
  const { make } = whorlPanel;
  const STEP = 0.13; /* radians for a key */
  const SPIN = 0.35; /* radians a second */

  function controls(viewer) {
    const { bar, figure } = viewer;
    const button = (text, title, act) => {
      const one = make("button", { type: "button", textContent: text, title });
      one.addEventListener("click", () => act(one));
      bar.append(one);
      return one;
    };
    const small = (text, title, act) => { const one = button(text, title, act); one.setAttribute("aria-label", title); return one; };
    small("+", "Zoom in", () => viewer.zoomBy(1.3));
    small("−", "Zoom out", () => viewer.zoomBy(1 / 1.3));
    button("Reset", "The first view again (0)", () => { viewer.reset(); viewer.search.clear(); viewer.draw(); });
    if (!viewer.told.flat) {
      const spin = button("Spin", "Turn slowly", () => { viewer.spinning = !viewer.spinning; spinning(viewer); });
      viewer.spinButton = spin;
      spin.setAttribute("aria-pressed", "false");
    }
    const size = make("input", { type: "range", min: "-2", max: "2", step: "0.1", value: "0", "aria-label": "Size of the points" });
    size.addEventListener("input", () => { viewer.wider = 2 ** Number(size.value); viewer.draw(); });
    bar.append(make("label", { className: "size" }, make("span", { textContent: "Size" }), size));
    button("PNG", "Save this view as a PNG picture", () => viewer.save("png"));
    button("SVG", "Save this view as an SVG picture", () => viewer.save("svg"));
    if (figure.requestFullscreen) {
      button("Full screen", "Fill the screen; Esc leaves", () => (document.fullscreenElement ? document.exitFullscreen() : figure.requestFullscreen()));
    }
    const coarse = matchMedia("(pointer: coarse)").matches;
    const words = viewer.told.flat
      ? coarse ? "Drag to move, pinch to zoom." : "Drag to move; the wheel zooms after a click."
      : coarse ? "Drag to turn; two fingers move and zoom." : "Drag to turn, with Shift or the right button to move; the wheel zooms after a click.";
    bar.append(make("span", { className: "hint", textContent: words }));
  }

  function spinning(viewer) {
    viewer.spinButton.setAttribute("aria-pressed", String(viewer.spinning));
    let last = performance.now();
    const step = (now) => {
      if (!viewer.spinning) { viewer.spinButton.setAttribute("aria-pressed", "false"); return; }
      viewer.turnBy(Math.min(0.1, (now - last) / 1000) * SPIN, 0);
      last = now;
      requestAnimationFrame(step);
    };
    if (viewer.spinning) requestAnimationFrame(step);
  }

  const tip = document.getElementById("tip");
  const hush = () => { tip.hidden = true; };

  function point(viewer, event) {
    const box = viewer.stage.getBoundingClientRect();
    const i = viewer.nearest(event.clientX - box.left, event.clientY - box.top);
    viewer.stage.classList.toggle("on-point", i >= 0);
    if (i >= 0 && window.whorlTip) window.whorlTip(viewer.words(i), event);
    else hush();
    return i;
  }

  function gestures(viewer) {
    const { stage } = viewer, held = new Map();
    let moved = 0, moving = false;
    stage.addEventListener("pointerdown", (event) => {
      held.set(event.pointerId, event);
      stage.setPointerCapture(event.pointerId);
      stage.focus({ preventScroll: true });
      viewer.spinning = false;
      moving = event.shiftKey || event.button === 2 || event.button === 1;
      moved = 0;
      hush();
    });
    stage.addEventListener("pointermove", (event) => {
      const before = held.get(event.pointerId);
      if (!before) { if (event.pointerType !== "touch") point(viewer, event); return; }
      const x = event.clientX - before.clientX, y = event.clientY - before.clientY;
      moved += Math.abs(x) + Math.abs(y);
      if (held.size === 2) pinch(viewer, held, before, event);
      else if (moving || viewer.told.flat) viewer.moveBy(x, y);
      else viewer.turnBy(x * 0.0075, y * 0.0075);
      held.set(event.pointerId, event);
    });
    const done = (event) => {
      const was = held.delete(event.pointerId);
      if (!was || event.type !== "pointerup" || moved > 4) return;
      const i = point(viewer, event);
      if (i >= 0 && event.button === 0) { viewer.picked = viewer.picked === i ? -1 : i; viewer.draw(); }
    };
    stage.addEventListener("pointerup", done);
    stage.addEventListener("pointercancel", done);
    stage.addEventListener("pointerleave", hush);
    stage.addEventListener("contextmenu", (event) => event.preventDefault());
    stage.addEventListener("wheel", (event) => wheel(viewer, event), { passive: false });
    stage.addEventListener("keydown", (event) => key(viewer, event));
  }

  /* Two fingers: what lies between them stays between them. */
  function pinch(viewer, held, before, now) {
    const other = [...held.values()].find((one) => one.pointerId !== now.pointerId), box = viewer.stage.getBoundingClientRect();
    const span = (a) => [a.clientX - other.clientX, a.clientY - other.clientY], [ax, ay] = span(before), [bx, by] = span(now);
    const x = (now.clientX + other.clientX) / 2 - box.left - box.width / 2, y = (now.clientY + other.clientY) / 2 - box.top - box.height / 2;
    viewer.moveBy((now.clientX - before.clientX) / 2, (now.clientY - before.clientY) / 2);
    viewer.zoomBy(Math.hypot(bx, by) / Math.max(1, Math.hypot(ax, ay)), x, y);
    viewer.turnBy(0, 0, Math.atan2(ay, ax) - Math.atan2(by, bx));
  }

  /* The wheel scrolls the page until the reader has taken hold of the points. */
  function wheel(viewer, event) {
    if (document.activeElement !== viewer.stage && !event.ctrlKey && !document.fullscreenElement) return;
    event.preventDefault();
    const box = viewer.stage.getBoundingClientRect(), lines = event.deltaMode === 1 ? 30 : 1;
    viewer.zoomBy(Math.exp(-event.deltaY * lines * 0.0016), event.clientX - box.left - box.width / 2, event.clientY - box.top - box.height / 2);
    hush();
  }

  function key(viewer, event) {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (way && (event.shiftKey || viewer.told.flat)) viewer.moveBy(-40 * way[0], -40 * way[1]);
    else if (way) viewer.turnBy(way[0] * STEP, way[1] * STEP);
    else if (event.key === "+" || event.key === "=") viewer.zoomBy(1.2);
    else if (event.key === "-") viewer.zoomBy(1 / 1.2);
    else if (event.key === "0" || event.key === "Home") { viewer.reset(); viewer.draw(); }
    else if (event.key === "Escape") { viewer.search.clear(); viewer.picked = -1; viewer.draw(); }
    else return;
    event.preventDefault();
  }

  /* A round length of the map and how many pixels it has in the middle of the view. */
  function ruler(viewer, view) {
    const each = view.unit / viewer.told.unit, most = 0.22 * view.width / each;
    if (!(each > 0) || !Number.isFinite(most) || most <= 0) return null;
    const power = 10 ** Math.floor(Math.log10(most)), length = [5, 2, 1].map((m) => m * power).find((value) => value <= most) || power;
    return { pixels: length * each, text: `${Number(length.toPrecision(3))}` };
  }

  /* The ruler, rings around what was found or picked, and the name of the point in the middle. */
  function marks(viewer, view) {
    const { marks, seen, found, at } = viewer, style = viewer.inks();
    marks.width = Math.round(view.width * view.sharp);
    marks.height = Math.round(view.height * view.sharp);
    const pen = marks.getContext("2d");
    pen.scale(view.sharp, view.sharp);
    pen.font = `12px ${style.text}`;
    const scale = ruler(viewer, view);
    if (scale) {
      const y = view.height - 16;
      pen.strokeStyle = pen.fillStyle = style.quiet;
      pen.beginPath();
      pen.moveTo(16, y - 4); pen.lineTo(16, y); pen.lineTo(16 + scale.pixels, y); pen.lineTo(16 + scale.pixels, y - 4);
      pen.stroke();
      pen.fillText(scale.text, 16, y - 9);
    }
    const ringed = [...(found || []).slice(0, whorlPanel.MOST_RINGS)];
    const named = found && at >= 0 ? found[at] : -1;
    if (viewer.picked >= 0) ringed.push(viewer.picked);
    if (named >= 0) ringed.push(named);
    if (!ringed.length) return;
    whorlPaint.project(viewer.scene, view, seen);
    viewer.stale = false;
    for (const i of ringed) {
      if (!seen.near[i]) continue;
      const chosen = i === named || i === viewer.picked, radius = whorlPaint.across(viewer.scene, view, seen.near[i], i) / 2 + (chosen ? 4 : 2.5);
      pen.strokeStyle = style.ink;
      pen.lineWidth = chosen ? 2.2 : 1;
      pen.beginPath();
      pen.arc(seen.x[i], seen.y[i], radius, 0, 7);
      pen.stroke();
      if (!chosen) continue;
      const name = viewer.ids[i].length > 40 ? viewer.ids[i].slice(0, 39) + "…" : viewer.ids[i], wide = pen.measureText(name).width;
      const left = Math.max(4, Math.min(view.width - wide - 12, seen.x[i] + radius + 4)), top = Math.max(12, Math.min(view.height - 12, seen.y[i]));
      pen.fillStyle = style.card;
      pen.globalAlpha = 0.85;
      pen.fillRect(left - 4, top - 10, wide + 8, 20);
      pen.globalAlpha = 1;
      pen.fillStyle = style.ink;
      pen.fillText(name, left, top + 4);
    }
  }

  return { controls, gestures, marks, ruler };
})();

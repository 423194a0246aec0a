/* What benchmarks/viewer.py asks a page with a map of points; put into it before its own scripts run. */
window.probe = (() => {
  const figure = () => document.querySelector("figure.viewer");
  const view = () => figure().view;
  const seconds = () => performance.now() / 1000;

  /* Fulfilled when the condition holds, looked at in every frame. */
  const until = (holds) => new Promise((done) => {
    const look = () => (holds() ? done() : requestAnimationFrame(look));
    look();
  });

  /* Seconds since navigation at which the points were painted, and were read back from the painter. */
  async function painted() {
    await until(() => figure() && figure().dataset.painter);
    view().drawNow();
    view().painter.finish();
    const { painter, painted: first } = figure().dataset;
    return { painter, first_s: Number(first) / 1000, read_s: seconds() };
  }

  /* When the other figures of the page are drawn too. */
  async function ready() {
    await until(() => document.documentElement.dataset.drawn);
    return seconds();
  }

  /* One step of a rotation, painted and read back: its seconds. */
  function turn(radians) {
    const begun = seconds();
    view().turnBy(radians, 0);
    view().drawNow();
    view().painter.finish();
    return seconds() - begun;
  }

  /* [pixels that have a point, a number that tells one picture from another] */
  function look() {
    view().drawNow(1);
    const from = view().painter.canvas, copy = document.createElement("canvas");
    [copy.width, copy.height] = [from.width, from.height];
    const pen = copy.getContext("2d");
    pen.drawImage(from, 0, 0);
    const { data } = pen.getImageData(0, 0, copy.width, copy.height);
    let seen = 0, sum = 0;
    for (let i = 0; i < data.length; i += 4) {
      if (!data[i + 3]) continue;
      seen++;
      sum = (sum * 31 + data[i] + 7 * data[i + 1] + 13 * data[i + 2] + i) % 2147483647;
    }
    return [seen, sum];
  }

  /* The colour in the middle of each point, [red, green, blue]. */
  function pixels() {
    const shown = view().drawNow(2), { scene, seen, painter } = view(), copy = document.createElement("canvas");
    [copy.width, copy.height] = [painter.canvas.width, painter.canvas.height];
    const pen = copy.getContext("2d");
    pen.drawImage(painter.canvas, 0, 0);
    whorlPaint.project(scene, shown, seen);
    return Array.from(seen.x, (x, i) => [...pen.getImageData(Math.round(x * 2), Math.round(seen.y[i] * 2), 1, 1).data.slice(0, 3)]);
  }

  const press = () => document.querySelector(".switches button").click();

  /* Numbers of the points that the search box finds for the last id. */
  function find() {
    const input = document.querySelector(".search input");
    input.value = view().ids[view().ids.length - 1];
    input.dispatchEvent(new Event("input"));
    const { found } = view();
    view().search.clear();
    return found;
  }

  const saved = () => ({ png: view().picture().toDataURL().length, svg: view().svg().length });
  const reset = () => view().reset();

  return { until, painted, ready, turn, look, pixels, press, find, saved, reset };
})();

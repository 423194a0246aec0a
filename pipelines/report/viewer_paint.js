"use strict";
/* Paints points: with WebGL on a graphics card, else pixel by pixel on a plain canvas. Both look alike.

   scene: { n, places: Float32Array (n * 3), paint: Uint8Array (n * 4), sizes: Float32Array (n), shapes: Uint8Array (n) }
     paint    red, green, blue, and 255 = shown, 128 = pale and behind all others, 0 = hidden
     sizes    pixels across at the middle of the cloud; shapes 0 = round, 1 = a framed diamond
   view: { turn: [9], rows of a rotation, aim: [3], the point in the middle, unit: pixels of one at the middle,
     far: distance of the eye, grow: factor of sizes, width, height: CSS pixels, sharp: device pixels in one,
     paper: [3], colour of the page, into which far points fade, ink: [3] } */
const whorlPaint = (() => {
  const FADE = 0.5; /* share of the paper in the farthest points */
  const FEW = 10_000; /* so many points the plain painter draws at twice the size */
  const NEAREST = 0.25; /* what is nearer to the eye is not seen */

  const POINT = `
    attribute vec3 place; attribute vec4 paint; attribute vec2 mark;
    uniform mat3 turn; uniform vec3 aim; uniform vec2 unit; uniform float far, grow, sharp; uniform mediump vec3 paper;
    varying vec4 colour; varying float shape, wide;
    void main() {
      vec3 seen = turn * (place - aim);
      float away = far - seen.z;
      gl_PointSize = 0.0;
      gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
      if (paint.a < 0.25 || away < ${NEAREST}) return;
      bool pale = paint.a < 0.75;
      float depth = clamp((away - far) / 4.0, -0.99, 0.99) * 0.49 + (pale ? 0.5 : -0.5);
      gl_Position = vec4(seen.xy * unit * far, depth * away, away);
      wide = max(mark.x * grow * far / away, 1.5) * sharp;
      gl_PointSize = wide + 1.0;
      shape = mark.y;
      float fade = clamp((away - far + 0.9) / 1.9, 0.0, 1.0) * ${FADE};
      fade = pale ? 0.85 : fade;
      colour = vec4(mix(paint.rgb, paper, fade), paint.a);
    }`;
  const PIXEL = `
    precision mediump float;
    varying vec4 colour; varying float shape, wide;
    uniform vec3 ink, paper;
    void main() {
      vec2 off = abs(gl_PointCoord * 2.0 - 1.0) * (wide + 1.0) / wide;
      float away = shape > 0.5 ? (off.x + off.y) : length(off);
      float edge = 2.0 / wide;
      float part = 1.0 - smoothstep(1.0 - edge * 0.5, 1.0 + edge * 0.5, away);
      if (part < 0.03) discard;
      float rim = smoothstep(1.0 - edge * 2.2, 1.0 - edge * 0.7, away);
      vec3 frame = shape > 0.5 ? ink : paper;
      float how = shape > 0.5 ? 0.85 : wide > 5.0 ? 0.55 : 0.0;
      gl_FragColor = vec4(mix(colour.rgb, frame, rim * how) * part, part);
    }`;

  function compiled(gl, kind, text) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
    return shader;
  }

  function isSoftware(gl) {
    const told = gl.getExtension("WEBGL_debug_renderer_info");
    const name = gl.getParameter(told ? told.UNMASKED_RENDERER_WEBGL : gl.RENDERER);
    return /swiftshader|llvmpipe|softpipe|software|basic render/i.test(String(name));
  }

  function withWebGL(canvas, atAnyPrice) {
    const gl = canvas.getContext("webgl", { antialias: false, powerPreference: "high-performance", failIfMajorPerformanceCaveat: !atAnyPrice });
    if (!gl || (!atAnyPrice && isSoftware(gl))) return null;
    const program = gl.createProgram();
    gl.attachShader(program, compiled(gl, gl.VERTEX_SHADER, POINT));
    gl.attachShader(program, compiled(gl, gl.FRAGMENT_SHADER, PIXEL));
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
    gl.useProgram(program);
    gl.enable(gl.DEPTH_TEST);
    gl.depthFunc(gl.LEQUAL);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    const at = {};
    for (const name of ["turn", "aim", "unit", "far", "grow", "sharp", "paper", "ink"]) at[name] = gl.getUniformLocation(program, name);
    const buffers = {};
    function fill(name, values, items, kind, normal) {
      const place = gl.getAttribLocation(program, name);
      buffers[name] = buffers[name] || gl.createBuffer();
      gl.bindBuffer(gl.ARRAY_BUFFER, buffers[name]);
      gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
      gl.enableVertexAttribArray(place);
      gl.vertexAttribPointer(place, items, kind, normal, 0, 0);
    }
    let n = 0;
    return {
      kind: "webgl", lost: () => gl.isContextLost(), finish: () => gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4)),
      load(scene) {
        n = scene.n;
        const marks = new Float32Array(2 * n);
        for (let i = 0; i < n; i++) { marks[2 * i] = scene.sizes[i]; marks[2 * i + 1] = scene.shapes[i]; }
        fill("place", scene.places, 3, gl.FLOAT, false);
        fill("mark", marks, 2, gl.FLOAT, false);
        this.repaint(scene);
      },
      repaint(scene) { fill("paint", scene.paint, 4, gl.UNSIGNED_BYTE, true); },
      draw(view) {
        canvas.width = Math.max(1, Math.round(view.width * view.sharp));
        canvas.height = Math.max(1, Math.round(view.height * view.sharp));
        gl.viewport(0, 0, canvas.width, canvas.height);
        gl.clearColor(0, 0, 0, 0);
        gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
        const t = view.turn; /* WebGL reads columns */
        gl.uniformMatrix3fv(at.turn, false, [t[0], t[3], t[6], t[1], t[4], t[7], t[2], t[5], t[8]]);
        gl.uniform3fv(at.aim, view.aim);
        gl.uniform2f(at.unit, 2 * view.unit / view.width, 2 * view.unit / view.height);
        for (const name of ["far", "grow", "sharp"]) gl.uniform1f(at[name], view[name]);
        for (const name of ["paper", "ink"]) gl.uniform3fv(at[name], view[name].map((part) => part / 255));
        if (n) gl.drawArrays(gl.POINTS, 0, n);
      },
    };
  }

  /* Where the points are on the page: x, y in CSS pixels, near = far / distance; 0: not seen. */
  function project(scene, view, seen) {
    const [a, b, c, d, e, f, g, h, k] = view.turn, [ax, ay, az] = view.aim;
    const { far, unit } = view, middle = view.width / 2, centre = view.height / 2, { places, paint } = scene;
    for (let i = 0; i < scene.n; i++) {
      const x = places[3 * i] - ax, y = places[3 * i + 1] - ay, z = places[3 * i + 2] - az;
      const away = far - (g * x + h * y + k * z);
      if (paint[4 * i + 3] === 0 || away < NEAREST) { seen.near[i] = 0; continue; }
      const near = far / away;
      seen.near[i] = near;
      seen.x[i] = middle + (a * x + b * y + c * z) * unit * near;
      seen.y[i] = centre - (d * x + e * y + f * z) * unit * near;
    }
    return seen;
  }

  const room = (n) => ({ x: new Float32Array(n), y: new Float32Array(n), near: new Float32Array(n) });
  const across = (scene, view, near, i) => Math.max(scene.sizes[i] * view.grow * near, 1.5);

  /* The share of paper in a point, as the shader has it. */
  function faded(scene, view, near, i) {
    if (scene.paint[4 * i + 3] < 192) return 0.85;
    return Math.min(1, Math.max(0, (view.far / near - view.far + 0.9) / 1.9)) * FADE;
  }

  function plain(canvas) {
    const pen = canvas.getContext("2d");
    let scene = null, seen = null, picture = null, depth = null, pixels = null;
    const stamps = new Map(); /* of a width and shape: offsets from a corner and whether they are the rim */
    function stamp(wide, shape) {
      const key = wide * 2 + shape;
      if (stamps.has(key)) return stamps.get(key);
      const radius = wide / 2, middle = (wide - 1) / 2, found = [];
      for (let y = 0; y < wide; y++) for (let x = 0; x < wide; x++) {
        const right = Math.abs(x - middle), down = Math.abs(y - middle), away = shape ? right + down : Math.hypot(right, down);
        if (away <= radius) found.push(x, y, away > radius - (shape ? 1.6 : 1.1) && (shape || wide > 5) ? 1 : 0);
      }
      stamps.set(key, found);
      return found;
    }
    return {
      kind: "plain", lost: () => false, finish: () => {},
      load(given) { scene = given; seen = room(scene.n); },
      repaint() {},
      draw(view) {
        const sharp = view.sharp * (scene.n <= FEW && view.sharp < 2 ? 2 : 1); /* the browser then smooths the edges */
        const width = Math.max(1, Math.round(view.width * sharp)), height = Math.max(1, Math.round(view.height * sharp));
        if (!picture || canvas.width !== width || canvas.height !== height) {
          canvas.width = width;
          canvas.height = height;
          picture = pen.createImageData(width, height);
          pixels = new Uint32Array(picture.data.buffer);
          depth = new Float32Array(width * height);
        }
        pixels.fill(0);
        depth.fill(0);
        project(scene, view, seen);
        const { paper, ink } = view, little = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;
        const word = (r, g, b) => (little ? (255 << 24) | (b << 16) | (g << 8) | r : (r << 24) | (g << 16) | (b << 8) | 255) >>> 0;
        for (let i = 0; i < scene.n; i++) {
          const near = seen.near[i];
          if (!near) continue;
          const fade = faded(scene, view, near, i), shape = scene.shapes[i], paint = scene.paint, k = 4 * i;
          const red = paint[k] + (paper[0] - paint[k]) * fade, green = paint[k + 1] + (paper[1] - paint[k + 1]) * fade;
          const blue = paint[k + 2] + (paper[2] - paint[k + 2]) * fade, edge = shape ? ink : paper, how = shape ? 0.85 : 0.55;
          const own = word(red, green, blue), rim = word(red + (edge[0] - red) * how, green + (edge[1] - green) * how, blue + (edge[2] - blue) * how);
          const wide = Math.max(1, Math.round(across(scene, view, near, i) * sharp)), dots = stamp(wide, shape);
          const left = Math.round(seen.x[i] * sharp - wide / 2), top = Math.round(seen.y[i] * sharp - wide / 2);
          const front = near + (paint[k + 3] === 255 ? 10 : 0); /* pale points never hide others */
          for (let d = 0; d < dots.length; d += 3) {
            const x = left + dots[d], y = top + dots[d + 1];
            if (x < 0 || y < 0 || x >= width || y >= height) continue;
            const at = y * width + x;
            if (depth[at] > front) continue;
            depth[at] = front;
            pixels[at] = dots[d + 2] ? rim : own;
          }
        }
        pen.putImageData(picture, 0, 0);
      },
    };
  }

  /* The painter of a canvas of its own. wish "plain": without WebGL; "webgl": also where the processor has to
     play the graphics card, which takes several times as long as the plain painter. */
  function painter(make, wish) {
    if (wish !== "plain") {
      try {
        const canvas = make(), found = withWebGL(canvas, wish === "webgl");
        if (found) return { canvas, ...found };
      } catch (error) { console.info("no WebGL, a plain canvas instead:", error.message); }
    }
    const canvas = make();
    return { canvas, ...plain(canvas) };
  }

  return { painter, project, room, across, faded };
})();

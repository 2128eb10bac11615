/* Points with WebGL: 10,000 and more, moving, on whatever draws 60 frames a second. The browser's policy forbids what
   Plotly's WebGL needs (code made from text), and a colour changes here within a frame.
   (The file's name: Dash loads scripts in the order of their names.) */
(function () {
  "use strict";

  const MOVE = 600; // milliseconds that points take to their new places
  const FRAME = 0.05; // of the map's size, around it

  /* Distance to a shape's edge, negative inside, for x and y in [-1, 1], y down. The same in GLSL below. */
  const EDGE = [
    (x, y) => Math.hypot(x, y) - 0.8,
    (x, y) => Math.max(Math.abs(x), Math.abs(y)) - 0.7,
    (x, y) => Math.abs(x) + Math.abs(y) - 0.95,
    (x, y) => Math.max(Math.abs(x) * 0.87 - y * 0.5, y) - 0.5,
    (x, y) => Math.min(Math.max(Math.abs(x) - 0.3, Math.abs(y) - 0.9), Math.max(Math.abs(y) - 0.3, Math.abs(x) - 0.9)),
    (x, y) => Math.max(Math.abs(x) * 0.87 + y * 0.5, -y) - 0.5,
    (x, y) => Math.abs(Math.hypot(x, y) - 0.62) - 0.22,
    (x, y) => Math.abs(Math.max(Math.abs(x), Math.abs(y)) - 0.58) - 0.2,
    (x, y) => EDGE[4]((x + y) * 0.707, (x - y) * 0.707),
    (x, y) => Math.abs(Math.abs(x) + Math.abs(y) - 0.75) - 0.25,
    (x, y) => Math.max(Math.abs(y) * 0.87 - x * 0.5, x) - 0.5,
    (x, y) => Math.max(Math.abs(y) * 0.87 + x * 0.5, -x) - 0.5,
    (x, y) => Math.max(Math.abs(x) - 0.9, Math.abs(y) - 0.35),
  ];

  const VERTEX = `
    attribute vec2 from; attribute vec2 to; attribute vec4 ink; attribute vec2 look;
    uniform float done, ratio; uniform vec2 scale, shift;
    varying vec4 color; varying float shape, soft;
    void main() {
      gl_Position = vec4(mix(from, to, done) * scale + shift, 0.0, 1.0);
      gl_PointSize = look.x * ratio;
      color = ink; shape = look.y; soft = 2.0 / gl_PointSize;
    }`;
  const FRAGMENT = `
    precision mediump float;
    varying vec4 color; varying float shape, soft;
    float cross_(vec2 p) {
      vec2 a = abs(p);
      return min(max(a.x - 0.3, a.y - 0.9), max(a.y - 0.3, a.x - 0.9));
    }
    void main() {
      vec2 p = 2.0 * gl_PointCoord - 1.0, a = abs(p);
      float d = length(p) - 0.8;
      if (shape > 11.5) d = max(a.x - 0.9, a.y - 0.35);
      else if (shape > 10.5) d = max(a.y * 0.87 + p.x * 0.5, -p.x) - 0.5;
      else if (shape > 9.5) d = max(a.y * 0.87 - p.x * 0.5, p.x) - 0.5;
      else if (shape > 8.5) d = abs(a.x + a.y - 0.75) - 0.25;
      else if (shape > 7.5) d = cross_(vec2(p.x + p.y, p.x - p.y) * 0.707);
      else if (shape > 6.5) d = abs(max(a.x, a.y) - 0.58) - 0.2;
      else if (shape > 5.5) d = abs(length(p) - 0.62) - 0.22;
      else if (shape > 4.5) d = max(a.x * 0.87 + p.y * 0.5, -p.y) - 0.5;
      else if (shape > 3.5) d = cross_(p);
      else if (shape > 2.5) d = max(a.x * 0.87 - p.y * 0.5, p.y) - 0.5;
      else if (shape > 1.5) d = a.x + a.y - 0.95;
      else if (shape > 0.5) d = max(a.x, a.y) - 0.7;
      float alpha = color.a * (1.0 - smoothstep(-soft, soft, d));
      if (alpha < 0.01) discard;
      gl_FragColor = vec4(color.rgb * alpha, alpha);
    }`;
  const SIZES = { from: 2, to: 2, ink: 4, look: 2 };

  function rgb(color) {
    return [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16) / 255);
  }

  function program(gl) {
    const made = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(made, shader);
    }
    gl.linkProgram(made);
    if (!gl.getProgramParameter(made, gl.LINK_STATUS)) return null;
    gl.useProgram(made);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    const buffers = {};
    for (const [name, size] of Object.entries(SIZES)) {
      const place = gl.getAttribLocation(made, name);
      buffers[name] = gl.createBuffer();
      gl.bindBuffer(gl.ARRAY_BUFFER, buffers[name]);
      gl.enableVertexAttribArray(place);
      gl.vertexAttribPointer(place, size, gl.FLOAT, false, 0, 0);
    }
    const uniforms = {};
    for (const name of ["done", "ratio", "scale", "shift"]) uniforms[name] = gl.getUniformLocation(made, name);
    return { buffers: buffers, uniforms: uniforms };
  }

  /**
   * A plot of points in a frame; null where there is no WebGL.
   * on: hover(row or null, mouse), click(row or null, mouse), lasso(rows). near: pixels within which a point is meant.
   */
  function plot(frame, canvas, over, on, near) {
    const gl = canvas.getContext("webgl", { antialias: false, premultipliedAlpha: true });
    let made = gl && program(gl);
    if (!made) return null;
    const brush = over.getContext("2d");
    const pointers = new Map();
    let data = null, columns = null, count = 0, meant = [], tool = "lasso", path = null, waiting = 0;
    let zoom = null; // {x, y: the middle, unit: pixels per unit}
    let began = -Infinity, marked = null, down = null;
    let stale = true; // the points have to be drawn again, not only what lies over them

    const box = () => frame.getBoundingClientRect();
    const done = () => Math.min(1, (performance.now() - began) / MOVE);
    const eased = (t) => t * t * (3 - 2 * t);

    function whole() {
      let [left, right, bottom, top] = [Infinity, -Infinity, Infinity, -Infinity];
      for (let i = 0; i < data.x.length; i++) {
        left = Math.min(left, data.x[i]); right = Math.max(right, data.x[i]);
        bottom = Math.min(bottom, data.y[i]); top = Math.max(top, data.y[i]);
      }
      const { width, height } = box(), wide = right - left || 1, high = top - bottom || 1;
      const unit = Math.min(width / wide, height / high) / (1 + 2 * FRAME);
      zoom = { x: (left + right) / 2, y: (bottom + top) / 2, unit: unit, fits: true };
      paint();
    }

    /** Where a point is in the frame, in pixels. */
    function spot(i) {
      const { width, height } = box();
      return [width / 2 + (data.x[i] - zoom.x) * zoom.unit, height / 2 - (data.y[i] - zoom.y) * zoom.unit];
    }

    function paint() {
      stale = true;
      paintOver();
    }

    /** Ring and lasso alone: without a GPU the points take ten times as long. */
    function paintOver() {
      if (!waiting) waiting = window.requestAnimationFrame(render);
    }

    function render() {
      waiting = 0;
      if (!data || !zoom || !canvas.isConnected) return;
      const { width, height } = box(), ratio = window.devicePixelRatio || 1;
      for (const each of [canvas, over]) {
        const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
        if (each.width !== w || each.height !== h) { each.width = w; each.height = h; stale = true; }
      }
      const t = eased(done()), scale = [2 * zoom.unit / width, 2 * zoom.unit / height];
      if (stale) drawPoints(t, scale, ratio);
      stale = t < 1;
      brush.setTransform(ratio, 0, 0, ratio, 0, 0);
      brush.clearRect(0, 0, width, height);
      brush.strokeStyle = getComputedStyle(frame).color;
      brush.lineWidth = 1.5;
      if (path) {
        brush.setLineDash([5, 4]);
        brush.beginPath();
        path.forEach(([x, y], n) => (n ? brush.lineTo(x, y) : brush.moveTo(x, y)));
        brush.stroke();
        brush.setLineDash([]);
      } else if (marked !== null && t === 1) {
        const [x, y] = spot(marked);
        brush.beginPath();
        brush.arc(x, y, 9, 0, 7);
        brush.stroke();
      }
      if (t < 1) paint();
    }

    function drawPoints(t, scale, ratio) {
      gl.viewport(0, 0, canvas.width, canvas.height);
      gl.clearColor(0, 0, 0, 0);
      gl.clear(gl.COLOR_BUFFER_BIT);
      gl.uniform1f(made.uniforms.done, t);
      gl.uniform1f(made.uniforms.ratio, ratio);
      gl.uniform2f(made.uniforms.scale, scale[0], scale[1]);
      gl.uniform2f(made.uniforms.shift, -zoom.x * scale[0], -zoom.y * scale[1]);
      gl.drawArrays(gl.POINTS, 0, count);
    }

    function fill(name, values) {
      gl.bindBuffer(gl.ARRAY_BUFFER, made.buffers[name]);
      gl.bufferData(gl.ARRAY_BUFFER, values, gl.DYNAMIC_DRAW);
    }

    function upload() {
      for (const name of Object.keys(SIZES)) fill(name, columns[name]);
    }

    /** Show points in groups {rows, color, shape, size, inert: no mouse finds them}; chosen: 1 for the selected rows; from: {x, y} to start at. */
    function show(content, groups, chosen, from) {
      const fresh = !data;
      data = content;
      meant = groups.flatMap((group) => (group.inert ? [] : group.rows));
      count = groups.reduce((sum, group) => sum + group.rows.length, 0);
      columns = {};
      for (const [name, size] of Object.entries(SIZES)) columns[name] = new Float32Array(count * size);
      const start = from || data, faint = count > 3000 ? 0.05 : 0.2;
      let k = 0;
      for (const group of groups) {
        const ink = rgb(group.color);
        for (const i of group.rows) {
          const dim = chosen && !chosen[i];
          columns.from[2 * k] = start.x[i]; columns.from[2 * k + 1] = start.y[i];
          columns.to[2 * k] = data.x[i]; columns.to[2 * k + 1] = data.y[i];
          columns.ink[4 * k] = ink[0]; columns.ink[4 * k + 1] = ink[1]; columns.ink[4 * k + 2] = ink[2];
          columns.ink[4 * k + 3] = dim ? faint : 0.82;
          columns.look[2 * k] = group.size + (chosen && !dim ? 2 : 0); columns.look[2 * k + 1] = group.shape;
          k += 1;
        }
      }
      upload();
      if (from) began = performance.now();
      marked = null;
      if (fresh || !zoom) whole();
      paint();
    }

    /** The drawn point nearest to a place in the frame; null where none is near. */
    function nearest(x, y) {
      let found = null, best = near * near;
      const { width, height } = box();
      for (const i of meant) {
        const dx = width / 2 + (data.x[i] - zoom.x) * zoom.unit - x;
        const dy = height / 2 - (data.y[i] - zoom.y) * zoom.unit - y;
        const gap = dx * dx + dy * dy;
        if (gap <= best) { best = gap; found = i; }
      }
      return found;
    }

    function within(polygon) {
      const { width, height } = box(); // once: to ask for it makes the browser lay the page out
      return meant.filter(function (i) {
        const x = width / 2 + (data.x[i] - zoom.x) * zoom.unit, y = height / 2 - (data.y[i] - zoom.y) * zoom.unit;
        let inside = false;
        for (let a = 0, b = polygon.length - 1; a < polygon.length; b = a++) {
          const [ax, ay] = polygon[a], [bx, by] = polygon[b];
          if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside;
        }
        return inside;
      });
    }

    function zoomBy(factor, x, y) {
      const { width, height } = box();
      const dx = (x - width / 2) / zoom.unit, dy = (height / 2 - y) / zoom.unit;
      zoom = { x: zoom.x + dx * (1 - 1 / factor), y: zoom.y + dy * (1 - 1 / factor), unit: zoom.unit * factor };
      paint();
    }

    function pan(dx, dy) {
      zoom = { x: zoom.x - dx / zoom.unit, y: zoom.y + dy / zoom.unit, unit: zoom.unit };
      paint();
    }

    const place = (event) => { const { left, top } = box(); return [event.clientX - left, event.clientY - top]; };

    over.addEventListener("pointerdown", function (event) {
      if (!data || event.button) return;
      over.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, place(event));
      down = pointers.size === 1 ? { at: place(event), moved: false } : null;
      path = tool === "lasso" && down ? [place(event)] : null;
      marked = null;
      on.hover(null, null);
    });
    over.addEventListener("pointermove", function (event) {
      if (!data) return;
      const [x, y] = place(event), was = pointers.get(event.pointerId);
      if (!was) {
        marked = nearest(x, y);
        over.style.cursor = marked === null ? (tool === "pan" ? "grab" : "crosshair") : "pointer";
        on.hover(marked, event);
        return paintOver();
      }
      if (down && Math.hypot(x - down.at[0], y - down.at[1]) > 4) down.moved = true;
      if (pointers.size === 2) {
        const [other] = [...pointers].filter(([id]) => id !== event.pointerId).map(([, spot]) => spot);
        const before = Math.hypot(was[0] - other[0], was[1] - other[1]);
        if (before) zoomBy(Math.hypot(x - other[0], y - other[1]) / before, (x + other[0]) / 2, (y + other[1]) / 2);
      } else if (path) {
        path.push([x, y]);
        paintOver();
      } else if (tool === "pan" && down && down.moved) {
        pan(x - was[0], y - was[1]);
      }
      pointers.set(event.pointerId, [x, y]);
    });
    function release(event) {
      if (!pointers.delete(event.pointerId) || !down) return;
      const drawn = path, clicked = !down.moved;
      path = down = null;
      if (event.type === "pointerup") {
        if (clicked) on.click(nearest(...place(event)), event);
        else if (drawn && drawn.length > 2) on.lasso(within(drawn));
      }
      paintOver();
    }
    over.addEventListener("pointerup", release);
    over.addEventListener("pointercancel", release);
    over.addEventListener("pointerleave", () => { marked = null; on.hover(null, null); paintOver(); });
    over.addEventListener("wheel", function (event) {
      if (!data) return;
      event.preventDefault();
      zoomBy(Math.exp(-event.deltaY / 400), ...place(event));
    }, { passive: false });
    over.addEventListener("keydown", function (event) {
      const { width, height } = box(), step = 40;
      const moves = { ArrowLeft: [step, 0], ArrowRight: [-step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
      if (!data || event.ctrlKey || event.metaKey || event.altKey) return;
      if (moves[event.key]) pan(...moves[event.key]);
      else if (event.key === "+" || event.key === "=") zoomBy(1.3, width / 2, height / 2);
      else if (event.key === "-") zoomBy(1 / 1.3, width / 2, height / 2);
      else if (event.key === "0") whole();
      else return;
      event.preventDefault();
    });
    canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    canvas.addEventListener("webglcontextrestored", function () {
      made = program(gl);
      if (made && columns) { upload(); paint(); }
    });
    new ResizeObserver(() => { if (data && zoom && zoom.fits) whole(); else paint(); }).observe(frame);

    return {
      show: show,
      whole: () => data && whole(),
      use: (name) => { tool = name; over.style.cursor = name === "pan" ? "grab" : "crosshair"; },
      where: function (i) {
        const { left, top } = box(), [x, y] = spot(i);
        return { x: left + x, y: top + y, still: done() === 1 };
      },
    };
  }

  const drawn = new Map(); // swatches, by shape and colour

  /** A shape as it is drawn, for the legend. */
  function swatch(shape, color) {
    const size = 28, key = shape + color, made = document.createElement("canvas"), brush = made.getContext("2d");
    made.width = made.height = size;
    made.className = "swatch";
    made.setAttribute("aria-hidden", "true");
    if (!drawn.has(key)) {
      const image = brush.createImageData(size, size), ink = rgb(color).map((part) => 255 * part);
      for (let y = 0; y < size; y++) {
        for (let x = 0; x < size; x++) {
          const gap = EDGE[shape]((2 * x + 1) / size - 1, (2 * y + 1) / size - 1);
          image.data.set([...ink, 255 * Math.max(0, Math.min(1, 0.5 - gap * size / 3))], 4 * (y * size + x));
        }
      }
      drawn.set(key, image);
    }
    brush.putImageData(drawn.get(key), 0, 0);
    return made;
  }

  window.points = { plot: plot, swatch: swatch, SHAPES: EDGE.length };
})();

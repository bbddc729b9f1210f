// Crystals that can be turned: by dragging, or with the arrow keys; Home or a double click turns
// them back. Seen from far away, so that parallel edges stay parallel.
"use strict";

const STEP = 0.15; // radians that an arrow key turns
const PIECES = 10; // parts of a cell's edge, each as near or far as its middle

/** Return the matrix that turns by an angle about x (axis 0) or y (axis 1). */
function turnAbout(axis, angle) {
  const c = Math.cos(angle), s = Math.sin(angle);
  return axis === 0 ? [[1, 0, 0], [0, c, -s], [0, s, c]] : [[c, 0, s], [0, 1, 0], [-s, 0, c]];
}

const product = (a, b) => a.map((row) => [0, 1, 2].map((j) => row.reduce((t, x, k) => t + x * b[k][j], 0)));
const applied = (a, v) => a.map((row) => row[0] * v[0] + row[1] * v[1] + row[2] * v[2]);
const still = () => [[1, 0, 0], [0, 1, 0], [0, 0, 1]];

/** Return the twelve edges of a cell about its middle, cut into pieces: pairs of points. */
function edges(cell) {
  const corner = (f) => [0, 1, 2].map((i) => cell.reduce((t, v, k) => t + (f[k] - 0.5) * v[i], 0));
  const found = [];
  for (let axis = 0; axis < 3; axis++) {
    for (const [p, q] of [[0, 0], [0, 1], [1, 0], [1, 1]]) {
      for (let i = 0; i < PIECES; i++) {
        const ends = [i / PIECES, (i + 1) / PIECES].map((t) => {
          const f = [p, q];
          f.splice(axis, 0, t);
          return corner(f);
        });
        found.push(ends);
      }
    }
  }
  return found;
}

function show(canvas) {
  const { cell, atoms, colours } = JSON.parse(canvas.dataset.crystal);
  const lines = edges(cell);
  const far = (v) => Math.hypot(v[0], v[1], v[2]);
  const reach = Math.max(...lines.flat().map(far), ...atoms.map((a) => far(a) + a[3])) || 1;
  let turned = still();

  function draw() {
    const size = canvas.clientWidth, dots = window.devicePixelRatio || 1;
    canvas.width = canvas.height = Math.round(size * dots);
    const pen = canvas.getContext("2d");
    const scale = (0.49 * size * dots) / reach, middle = canvas.width / 2;
    const place = (v) => [middle + scale * v[0], middle - scale * v[1]];
    const parts = lines.map((ends) => {
      const [a, b] = ends.map((v) => applied(turned, v));
      return { depth: (a[2] + b[2]) / 2, ends: [place(a), place(b)] };
    });
    for (const [x, y, z, radius, kind] of atoms) {
      const v = applied(turned, [x, y, z]);
      parts.push({ depth: v[2], at: place(v), radius: scale * radius, colour: colours[kind] });
    }
    parts.sort((a, b) => a.depth - b.depth);
    pen.strokeStyle = getComputedStyle(canvas).color;
    for (const part of parts) {
      pen.beginPath();
      if (part.ends) {
        pen.lineWidth = 1.2 * dots;
        pen.moveTo(...part.ends[0]);
        pen.lineTo(...part.ends[1]);
        pen.stroke();
        continue;
      }
      const [x, y] = part.at, r = part.radius;
      const light = pen.createRadialGradient(x - r / 3, y - r / 3, r / 10, x, y, r);
      light.addColorStop(0, "#fff");
      light.addColorStop(0.35, part.colour);
      light.addColorStop(1, part.colour);
      pen.fillStyle = light;
      pen.lineWidth = 0.7 * dots;
      pen.arc(x, y, r, 0, 2 * Math.PI);
      pen.fill();
      pen.stroke();
    }
  }

  function turn(right, down) {
    turned = product(product(turnAbout(1, right), turnAbout(0, down)), turned);
    draw();
  }

  function back() {
    turned = still();
    draw();
  }

  canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
  canvas.addEventListener("pointermove", (event) => {
    if (canvas.hasPointerCapture(event.pointerId)) turn(event.movementX / 90, event.movementY / 90);
  });
  canvas.addEventListener("dblclick", back);
  canvas.addEventListener("keydown", (event) => {
    const keys = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
    if (event.key in keys) turn(...keys[event.key]);
    else if (event.key === "Home") back();
    else return;
    event.preventDefault();
  });
  new ResizeObserver(draw).observe(canvas);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  window.addEventListener("beforeprint", draw);
}

document.querySelectorAll("canvas.crystal").forEach(show);

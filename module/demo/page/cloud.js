// One point cloud on a canvas: it turns as it is dragged or by the arrow keys, and comes nearer by wheel, pinch, + and -.

const MOST_PIXELS = 1.3e6;
const START = { yaw: -0.4, pitch: 0.24, zoom: 1.25 };

export class Cloud {
  /** `canvas` has its size from CSS, and can have the focus. */
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { willReadFrequently: true });
    this.points = null;
    this.view = { ...START };
    this.pointers = new Map();
    this.frame = 0;
    canvas.addEventListener("pointerdown", (event) => this.grab(event));
    canvas.addEventListener("pointermove", (event) => this.drag(event));
    for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, (event) => this.pointers.delete(event.pointerId));
    canvas.addEventListener("keydown", (event) => this.press(event));
    // The page scrolls by the wheel until somebody has turned to the canvas.
    canvas.addEventListener("wheel", (event) => {
      if (document.activeElement !== canvas && !event.ctrlKey) return;
      event.preventDefault();
      this.turn({ zoom: this.view.zoom * Math.exp(-event.deltaY / 400) });
    }, { passive: false });
    new ResizeObserver(() => this.ask()).observe(canvas);
  }

  /** Show `{count, places, colours}`; the view stays as somebody has turned it. */
  show({ count, places, colours }) {
    const middle = [0, 1, 2].map((axis) => quantile(some(count, (at) => places[3 * at + axis]), 0.5));
    const away = (at) => Math.hypot(places[3 * at] - middle[0], places[3 * at + 1] - middle[1], places[3 * at + 2] - middle[2]);
    this.radius = quantile(some(count, away), 0.95) || 1;
    const [x, y, z] = [0, 1, 2].map(() => new Float32Array(count));
    const shades = new Uint32Array(count);
    let seen = 0;
    for (let at = 0; at < count; at += 1) {
      const [left, down, ahead] = [places[3 * at], places[3 * at + 1], places[3 * at + 2]];
      if (!Number.isFinite(left + down + ahead)) continue;
      x[seen] = left - middle[0];
      y[seen] = down - middle[1];
      z[seen] = ahead - middle[2];
      shades[seen] = colours ? swapped(colours[at]) : byDepth(ahead, middle[2], this.radius);
      seen += 1;
    }
    this.points = { x: x.subarray(0, seen), y: y.subarray(0, seen), z: z.subarray(0, seen), shades };
    this.ask();
  }

  turn(change) {
    Object.assign(this.view, change);
    this.view.pitch = Math.max(-1.5, Math.min(1.5, this.view.pitch));
    this.view.zoom = Math.max(0.2, Math.min(12, this.view.zoom));
    this.ask();
  }

  reset() {
    this.turn(START);
  }

  grab(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, event);
  }

  drag(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const others = [...this.pointers.values()].filter((one) => one.pointerId !== event.pointerId);
    this.pointers.set(event.pointerId, event);
    if (others.length) {
      const apart = (one) => Math.hypot(one.clientX - others[0].clientX, one.clientY - others[0].clientY) || 1;
      this.turn({ zoom: (this.view.zoom * apart(event)) / apart(before) });
    } else {
      this.turn({
        yaw: this.view.yaw + (event.clientX - before.clientX) / 160,
        pitch: this.view.pitch + (event.clientY - before.clientY) / 160,
      });
    }
  }

  press(event) {
    const { yaw, pitch, zoom } = this.view;
    const change = {
      ArrowLeft: { yaw: yaw - 0.1 },
      ArrowRight: { yaw: yaw + 0.1 },
      ArrowUp: { pitch: pitch - 0.1 },
      ArrowDown: { pitch: pitch + 0.1 },
      "+": { zoom: zoom * 1.2 },
      "=": { zoom: zoom * 1.2 },
      "-": { zoom: zoom / 1.2 },
      Home: START,
    }[event.key];
    if (!change || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.turn(change);
  }

  ask() {
    if (!this.frame) this.frame = requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.frame = 0;
    const box = this.canvas.getBoundingClientRect();
    if (!this.points || !box.width || !box.height) return;
    const scale = Math.min(devicePixelRatio, Math.sqrt(MOST_PIXELS / (box.width * box.height)));
    const [width, height] = [Math.round(box.width * scale), Math.round(box.height * scale)];
    if (this.canvas.width !== width || this.canvas.height !== height) {
      Object.assign(this.canvas, { width, height });
      this.image = this.context.createImageData(width, height);
      this.pixels = new Uint32Array(this.image.data.buffer);
      this.depths = new Float32Array(width * height);
    }
    this.pixels.fill(0);
    this.depths.fill(Infinity);
    this.plot(width, height);
    this.context.putImageData(this.image, 0, 0);
  }

  /** Each point as a square of pixels, unless something nearer is there. */
  plot(width, height) {
    const { x, y, z, shades } = this.points;
    const { pixels, depths, radius } = this;
    const { yaw, pitch, zoom } = this.view;
    const [cy, sy, cp, sp] = [Math.cos(yaw), Math.sin(yaw), Math.cos(pitch), Math.sin(pitch)];
    const away = 2.6 * radius;
    const focal = zoom * Math.min(width * 0.8, height) * 1.15;
    // The nearer a point, the larger its square: about as wide as it is to the next one.
    const widest = (2.2 * focal * radius) / Math.sqrt(x.length);
    const [left, top] = [width / 2, height / 2];
    for (let at = 0; at < x.length; at += 1) {
      const across = cy * x[at] + sy * z[at];
      const ahead = cy * z[at] - sy * x[at];
      const down = cp * y[at] - sp * ahead;
      const depth = cp * ahead + sp * y[at] + away;
      if (depth < 0.05 * radius) continue;
      const side = Math.max(1, Math.min(7, Math.ceil(widest / depth)));
      const u = (left + (focal * across) / depth) | 0;
      const v = (top + (focal * down) / depth) | 0;
      if (u < 0 || v < 0 || u + side > width || v + side > height) continue;
      const shade = shades[at];
      for (let row = v * width + u, end = row + side * width; row < end; row += width) {
        for (let pixel = row; pixel < row + side; pixel += 1) {
          if (depth < depths[pixel]) {
            depths[pixel] = depth;
            pixels[pixel] = shade;
          }
        }
      }
    }
  }
}

/** What is finite of some thousand values, spread over all points. */
function some(count, value) {
  const values = [];
  for (let at = 0, step = Math.ceil(count / 4000); at < count; at += step) values.push(value(at));
  return Float32Array.from(values.filter(Number.isFinite)).sort();
}

const quantile = (sorted, part) => sorted[Math.floor(sorted.length * part)] ?? 0;

/** 0xRRGGBB as the pixel of a canvas. */
const swapped = (colour) => (0xff000000 | ((colour & 0xff) << 16) | (colour & 0xff00) | (colour >>> 16)) >>> 0;

/** Near is bright, far is blue. */
function byDepth(depth, middle, radius) {
  const near = Math.max(0, Math.min(1, 0.5 - (depth - middle) / (2 * radius)));
  const [red, green, blue] = [60 + 190 * near, 80 + 130 * near, 190 - 110 * near].map(Math.round);
  return swapped((red << 16) | (green << 8) | blue);
}

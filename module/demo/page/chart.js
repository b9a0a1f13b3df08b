// One chart over time in SVG: areas, lines, dots, shaded spans and marks; axes with round steps; a cross under the pointer.

import { numeral, since } from "/words.js";

const NAMESPACE = "http://www.w3.org/2000/svg";
const TIME_STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800];
const LETTER = 6.9;

function shape(tag, attributes, text) {
  const made = document.createElementNS(NAMESPACE, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

const roundStep = (least) => {
  const power = 10 ** Math.floor(Math.log10(least));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= least * (1 - 1e-9));
};

/** The index of the last time that is not after this one; -1 where there is none. */
export function lastBefore(times, at) {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] <= at) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** The points worth drawing: where many share a pixel's column, its first, lowest, highest and last one. */
function visible(points) {
  if (points.length < 1500) return points;
  const kept = [];
  for (let from = 0; from < points.length; ) {
    const column = Math.round(points[from][0]);
    let to = from;
    let [low, high] = [from, from];
    while (to < points.length && Math.round(points[to][0]) === column) {
      if (points[to][1] < points[low][1]) low = to;
      if (points[to][1] > points[high][1]) high = to;
      to += 1;
    }
    for (const at of [...new Set([from, low, high, to - 1])].sort((a, b) => a - b)) kept.push(points[at]);
    from = to;
  }
  return kept;
}

const joined = (points) => points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join("L");

export class Chart {
  /** In `place`; `tell(time or null)` is called with where the pointer is, in seconds since the beginning. */
  constructor(place, { height, label, zero = false, tell }) {
    Object.assign(this, { place, height, zero, tell, shown: null, scale: null, pointer: null });
    this.svg = shape("svg", { class: "chart", role: "img", "aria-label": label, height });
    this.drawing = shape("g", {});
    this.cross = shape("line", { class: "cross", visibility: "hidden" });
    this.svg.append(this.drawing, this.cross);
    place.append(this.svg);
    this.svg.addEventListener("pointermove", (event) => this.point(event.clientX));
    this.svg.addEventListener("pointerdown", (event) => this.point(event.clientX));
    this.svg.addEventListener("pointerleave", () => this.point(null));
    new ResizeObserver(() => this.draw()).observe(place);
  }

  /** Show `series` ({kind, name, times, values, floor}) from `from` to `to`, with `spans` ([from, to, name]), `marks` ([at, text]). */
  show(shown) {
    this.shown = shown;
    this.draw();
  }

  draw() {
    const width = this.place.clientWidth;
    if (!this.shown || !width) return;
    const { series, from, to, spans = [], marks = [] } = this.shown;
    const [low, high, step] = this.range(series);
    const ticks = [];
    for (let tick = Math.ceil(low / step - 1e-9); tick * step <= high + step * 1e-6; tick += 1) ticks.push(tick * step);
    const labels = ticks.map((value) => numeral(value, step));
    const [left, right, top, bottom] = [Math.max(...labels.map((text) => text.length)) * LETTER + 8, width - 12, 10, this.height - 22];
    const x = (time) => left + ((time - from) / (to - from)) * (right - left);
    const y = (value) => bottom - ((value - low) / (high - low || 1)) * (bottom - top);
    this.scale = { left, right, top, bottom, from, to, x };
    this.svg.setAttribute("viewBox", `0 0 ${width} ${this.height}`);

    const parts = [];
    for (const [begin, end, name = ""] of spans) {
      const [a, b] = [Math.max(left, x(begin)), Math.min(right, x(end))];
      if (b <= left || a >= right) continue;
      parts.push(shape("rect", { class: "band", x: a, y: top, width: Math.max(1, b - a), height: bottom - top }));
      const fitting = [name, name.replace(/^cloud /, ""), "away"].find((text) => b - a > text.length * LETTER + 6);
      if (name && fitting) {
        parts.push(shape("text", { class: "band-name", x: (a + b) / 2, y: top + 14, "text-anchor": "middle" }, fitting));
      }
    }
    ticks.forEach((value, at) => {
      parts.push(shape("line", { class: "rule", x1: left, x2: right, y1: y(value), y2: y(value) }));
      parts.push(shape("text", { x: left - 8, y: y(value) + 4, "text-anchor": "end" }, labels[at]));
    });
    const most = Math.max(2, (right - left) / 64);
    const pace = TIME_STEPS.find((one) => (to - from) / one <= most) ?? 3600;
    for (let tick = Math.ceil(from / pace); tick * pace <= to; tick += 1) {
      const at = x(tick * pace);
      parts.push(shape("line", { class: "rule base", x1: at, x2: at, y1: bottom, y2: bottom + 4 }));
      const anchor = at > right - 14 ? "end" : "middle";
      parts.push(shape("text", { x: anchor === "end" ? right + 10 : at, y: bottom + 17, "text-anchor": anchor }, since(tick * pace, pace)));
    }
    parts.push(shape("line", { class: "rule base", x1: left, x2: right, y1: bottom, y2: bottom }));
    marks.forEach(([at, text], index) => {
      parts.push(shape("line", { class: "mark", x1: x(at), x2: x(at), y1: top, y2: bottom }));
      const ahead = [right, ...marks.slice(index + 1).map(([other]) => x(other)), ...spans.map(([begin]) => x(begin))];
      const room = Math.min(...ahead.filter((other) => other >= x(at))) - x(at);
      if (room > text.length * LETTER + 8) parts.push(shape("text", { x: x(at) + 5, y: top + 10 }, text));
    });
    for (const one of series) parts.push(...this.drawn(one, x, y));
    this.drawing.replaceChildren(...parts);
    this.point(this.pointer);
  }

  drawn({ kind, name, times, values, floor }, x, y) {
    const points = visible(times.map((time, at) => [x(time), y(values[at])]));
    if (!points.length) return [];
    if (kind === "dots") {
      const dots = points.map(([cx, cy]) => `M${(cx - 2.4).toFixed(1)},${cy.toFixed(1)}a2.4,2.4 0 1,0 4.8,0a2.4,2.4 0 1,0 -4.8,0`);
      return [shape("path", { class: `dots ${name}`, d: dots.join("") })];
    }
    if (kind === "area") {
      const under = visible(times.map((time, at) => [x(time), y(floor[at])])).reverse();
      return [shape("path", { class: name, d: `M${joined(points)}L${joined(under)}Z` })];
    }
    return [shape("path", { class: `line ${name}`, d: `M${joined(points)}` })];
  }

  /** From where to where the values' axis goes, and its step. */
  range(series) {
    let [low, high] = this.zero ? [0, 1] : [Infinity, -Infinity];
    for (const { values } of series) {
      for (const value of values) {
        if (value < low) low = value;
        if (value > high) high = value;
      }
    }
    if (!Number.isFinite(low)) [low, high] = [0, 1];
    if (low === high) [low, high] = [low - Math.max(1, Math.abs(low) * 0.01), high + Math.max(1, Math.abs(low) * 0.01)];
    const step = roundStep((high - low) / Math.max(2, Math.floor(this.height / 48)));
    return [Math.floor(low / step + 1e-9) * step, Math.ceil(high / step - 1e-9) * step, step];
  }

  point(clientX) {
    this.pointer = clientX;
    if (!this.scale) return;
    const { left, right, top, bottom, from, to } = this.scale;
    const across = clientX === null ? -1 : clientX - this.svg.getBoundingClientRect().left;
    if (across < left || across > right) {
      this.cross.setAttribute("visibility", "hidden");
      this.tell(null);
      return;
    }
    for (const [name, value] of [["x1", across], ["x2", across], ["y1", top], ["y2", bottom]]) this.cross.setAttribute(name, value);
    this.cross.setAttribute("visibility", "visible");
    this.tell(from + ((across - left) / (right - left)) * (to - from));
  }
}

// One chart over time in SVG: areas, lines, steps, dots, shaded spans and numbered marks; a cross that pointer and keys move.

import { numeral, since } from "/words.js";

const NAMESPACE = "http://www.w3.org/2000/svg";
const TIME_STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800];
const LETTER = 6.9;
const BADGE = 8;
const PHONE = matchMedia("(max-width: 640px)");

export function shape(tag, attributes, text) {
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

/** Points of a value that stays as it is until it changes. */
const stepped = (points) => points.flatMap(([x, y], at) => (at ? [[x, points[at - 1][1]], [x, y]] : [[x, y]]));

const joined = (points) => points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join("L");

const CHARTS = [];

/** Draw those that nobody has seen yet too. */
export const drawAll = () => CHARTS.forEach((chart) => chart.update(true));

export class Chart {
  /**
   * In `place`; `tell(time or null)` is called with where the cross is, in seconds since the beginning. `heights`: on a
   * desk and on a phone. `ticks`: the only values of the axis, instead of round steps; `words(value, step)` writes them,
   * in a space of at least `margin` pixels.
   */
  constructor(place, { heights, label, zero = false, tell = () => {}, words = numeral, ticks = null, margin = 0 }) {
    Object.assign(this, { place, heights, zero, tell, words, ticks, margin, shown: null, scale: null, width: 0, at: null, seen: false });
    this.svg = shape("svg", { class: "chart", role: "img", "aria-label": label, tabindex: 0 });
    this.drawing = shape("g", {});
    this.cross = shape("line", { class: "cross", visibility: "hidden" });
    this.svg.append(this.drawing, this.cross);
    place.append(this.svg);
    CHARTS.push(this);
    for (const kind of ["pointermove", "pointerdown"]) this.svg.addEventListener(kind, (event) => this.point(this.under(event)));
    for (const kind of ["pointerleave", "blur"]) this.svg.addEventListener(kind, () => this.point(null));
    this.svg.addEventListener("keydown", (event) => this.step(event));
    new ResizeObserver(([entry]) => {
      this.width = entry.contentRect.width;
      this.draw();
    }).observe(this.svg);
    // A chart that nobody sees costs nothing.
    new IntersectionObserver(([entry]) => {
      this.seen = entry.isIntersecting;
      this.update();
    }, { rootMargin: "200px" }).observe(place);
  }

  /**
   * Show what `make` returns, which is called when somebody sees it: `series` ({kind, name, times, values, floor, steps})
   * from `from` to `to`, with `spans` ([from, to, name]) and `marks` ([at, …]).
   */
  show(make) {
    this.make = make;
    this.update();
  }

  update(unseen = false) {
    if (!(this.seen || unseen) || !this.make) return;
    this.shown = this.make();
    if (this.moved()) this.draw();
  }

  /** Whether what is shown differs from what is drawn by a pixel or more: in an hour that is not every second. */
  moved() {
    const { series, from, to, spans = [], marks = [] } = this.shown;
    const parts = [series.length, spans.length, marks.length].join();
    const ends = [to, ...series.map(({ times }) => times.at(-1) ?? from), ...spans.map(([, end]) => end)];
    const pixel = (to - from) / (this.width || 1);
    const same = this.drawnAs?.parts === parts && this.drawnAs.ends.every((end, at) => Math.abs(end - ends[at]) < pixel);
    if (!same) this.drawnAs = { parts, ends };
    return !same;
  }

  draw() {
    const width = this.width || this.place.clientWidth;
    if (!this.shown || !width) return;
    const { series, from, to, spans = [], marks = [] } = this.shown;
    const height = this.heights[PHONE.matches ? 1 : 0];
    const [low, high, step] = this.range(series, height);
    const ticks = this.ticks ?? Array.from({ length: Math.round((high - low) / step) + 1 }, (_, at) => low + at * step);
    const labels = ticks.map((value) => this.words(value, step));
    const left = Math.max(this.margin, Math.max(3, ...labels.map((text) => text.length)) * LETTER + 8);
    const right = width - 12;
    const x = (time) => left + ((time - from) / (to - from)) * (right - left);
    const badges = this.badges(marks, x);
    const [top, bottom] = [badges.length ? 12 + (1 + Math.max(...badges)) * (2 * BADGE + 2) : 10, height - 22];
    const y = (value) => bottom - ((value - low) / (high - low || 1)) * (bottom - top);
    this.scale = { left, right, top, bottom, from, to };
    this.svg.setAttribute("height", height);
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);

    const parts = spans.flatMap((span) => this.band(span, x, top, bottom));
    ticks.forEach((value, at) => {
      parts.push(shape("line", { class: "rule", x1: left, x2: right, y1: y(value), y2: y(value) }));
      parts.push(shape("text", { x: left - 8, y: y(value) + 4, "text-anchor": "end" }, labels[at]));
    });
    parts.push(...this.seconds(x));
    marks.forEach(([at], index) => {
      const middle = 4 + BADGE + badges[index] * (2 * BADGE + 2);
      parts.push(shape("line", { class: "mark", x1: x(at), x2: x(at), y1: middle + BADGE, y2: bottom }));
      parts.push(shape("circle", { class: "badge", cx: x(at), cy: middle, r: BADGE }));
      parts.push(shape("text", { class: "badge-number", x: x(at), y: middle + 3.8, "text-anchor": "middle" }, index + 1));
    });
    for (const one of series) parts.push(...this.drawn(one, x, y));
    this.drawing.replaceChildren(...parts);
    this.point(this.at);
  }

  /** In which row each mark's number stands: the first in which it touches none before it. */
  badges(marks, x) {
    const ends = [];
    return marks.map(([at]) => {
      const row = [0, 1, 2].find((one) => (ends[one] ?? -Infinity) < x(at) - 2 * BADGE - 1) ?? 0;
      ends[row] = x(at);
      return row;
    });
  }

  band([begin, end, name = ""], x, top, bottom) {
    const { left, right } = this.scale;
    const [a, b] = [Math.max(left, x(begin)), Math.min(right, x(end))];
    if (b <= left || a >= right) return [];
    const parts = [shape("rect", { class: "band", x: a, y: top, width: Math.max(1, b - a), height: bottom - top })];
    const fitting = [name, name.replace(/^cloud /, ""), "away"].find((text) => b - a > text.length * LETTER + 6);
    if (name && fitting) parts.push(shape("text", { class: "band-name", x: (a + b) / 2, y: bottom - 8, "text-anchor": "middle" }, fitting));
    return parts;
  }

  seconds(x) {
    const { left, right, bottom, from, to } = this.scale;
    const pace = TIME_STEPS.find((one) => (to - from) / one <= Math.max(2, (right - left) / 64)) ?? 3600;
    const parts = [];
    for (let tick = Math.ceil(from / pace); tick * pace <= to; tick += 1) {
      const at = x(tick * pace);
      parts.push(shape("line", { class: "rule base", x1: at, x2: at, y1: bottom, y2: bottom + 4 }));
      const anchor = at > right - 14 ? "end" : "middle";
      parts.push(shape("text", { x: anchor === "end" ? right + 10 : at, y: bottom + 17, "text-anchor": anchor }, since(tick * pace, pace)));
    }
    return [...parts, shape("line", { class: "rule base", x1: left, x2: right, y1: bottom, y2: bottom })];
  }

  drawn({ kind, name, times, values, floor, steps = false }, x, y) {
    const line = (of) => {
      const points = visible(times.map((time, at) => [x(time), y(of[at])]));
      return steps ? stepped(points) : points;
    };
    const points = line(values);
    if (!points.length) return [];
    if (kind === "dots") {
      const dots = points.map(([cx, cy]) => `M${(cx - 2.6).toFixed(1)},${cy.toFixed(1)}a2.6,2.6 0 1,0 5.2,0a2.6,2.6 0 1,0 -5.2,0`);
      return [shape("path", { class: `dots ${name}`, d: dots.join("") })];
    }
    if (kind === "area") {
      return [shape("path", { class: name, d: `M${joined(points)}L${joined(line(floor).reverse())}Z` })];
    }
    return [shape("path", { class: `line ${name}`, d: `M${joined(points)}` })];
  }

  /** From where to where the values' axis goes, and its step. */
  range(series, height) {
    if (this.ticks) return [this.ticks[0], this.ticks.at(-1), 1];
    let [low, high] = this.zero ? [0, 1] : [Infinity, -Infinity];
    for (const { values } of series) {
      for (const value of values) {
        if (value < low) low = value;
        if (value > high) high = value;
      }
    }
    if (!Number.isFinite(low)) [low, high] = [0, 1];
    if (low === high) [low, high] = [low - Math.max(1, Math.abs(low) * 0.01), high + Math.max(1, Math.abs(low) * 0.01)];
    const step = roundStep((high - low) / Math.max(3, Math.floor(height / 48)));
    // What reaches over a step by a little, as noise does, opens no further one.
    return [Math.floor(low / step + 0.04) * step, Math.ceil(high / step - 0.04) * step, step];
  }

  under(event) {
    if (!this.scale) return null;
    const { left, right, from, to } = this.scale;
    const across = event.clientX - this.svg.getBoundingClientRect().left;
    return across < left || across > right ? null : from + ((across - left) / (right - left)) * (to - from);
  }

  step(event) {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by || !this.scale) return;
    event.preventDefault();
    const { from, to } = this.scale;
    this.point(Math.min(to, Math.max(from, (this.at ?? (by > 0 ? from : to)) + (by * (to - from)) / 60)));
  }

  /** Put the cross at that time, or take it away: null. */
  point(time) {
    this.at = time;
    if (!this.scale) return;
    const { left, right, top, bottom, from, to } = this.scale;
    this.cross.setAttribute("visibility", time === null ? "hidden" : "visible");
    if (time !== null) {
      const across = left + ((time - from) / (to - from)) * (right - left);
      for (const [name, value] of [["x1", across], ["x2", across], ["y1", top], ["y2", bottom]]) this.cross.setAttribute(name, value);
    }
    this.tell(time);
  }
}

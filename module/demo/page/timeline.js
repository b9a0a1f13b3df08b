// The timeline: what was captured and delivered, the commands by number and name, and the bytes by kind under it.

import { Chart, lastBefore } from "/chart.js";
import { Totals } from "/series.js";
import { count, element, fill, lasting, size } from "/words.js";

const KINDS = ["images", "point clouds", "files", "rows"];
const OF_KIND = { image: 0, "point cloud": 1, file: 2, rows: 3 };
const MARGIN = 64;
const $ = (id) => document.getElementById(id);

export class Timeline {
  constructor() {
    this.captured = new Totals(1);
    this.delivered = new Totals(1 + KINDS.length);
    this.totals = [0, 0, 0, 0, 0];
    this.scheduled = { bytes: 0, images: 0, until: 0 };
    this.peak = 0;
    this.last = { captured: 0, waiting: 0, bytes: 0 };
    this.arrived = new Map(); // source → bytes and those of images, for sources that may turn out to have a schedule
    this.readout = element("p", "readout");
    this.chart = new Chart($("timeline"), { heights: [250, 210], label: "Captured and delivered over time", zero: true, margin: MARGIN, tell: (at) => this.tell(at) });
    $("timeline").after(this.readout);
    this.bytes = new Chart($("bytes"), { heights: [120, 100], label: "Bytes delivered over time, by kind", zero: true, margin: MARGIN, words: (value) => size(value), tell: (at) => this.tellBytes(at) });
  }

  add(arrival) {
    const kind = OF_KIND[arrival.kind];
    // What came twice, as its first answer was lost, was delivered once.
    this.totals[0] += arrival.items - arrival.again;
    this.totals[1 + kind] += arrival.size;
    this.delivered.add(arrival.arrived, this.totals);
    if (!this.arrived.has(arrival.source)) this.arrived.set(arrival.source, { bytes: 0, images: 0 });
    const source = this.arrived.get(arrival.source);
    source.bytes += arrival.size;
    if (kind === 0) source.images += arrival.size;
    this.until = Math.max(this.until ?? 0, arrival.captured ?? 0);
  }

  sample([at, captured, waiting, bytes]) {
    this.captured.add(at, [captured]);
    this.peak = Math.max(this.peak, waiting);
    this.last = { captured, waiting, bytes };
  }

  /** `notes` are [when, text]. */
  show({ began, to, spans, notes, sources }) {
    const bands = spans.map(([from, until]) => [from, until, `cloud away ${lasting(until - from)}`]);
    this.chart.show(() => this.lines(began, to, bands, notes));
    this.bytes.show(() => ({ series: this.layers(began), from: 0, to, spans: bands.map(([from, until]) => [from, until]) }));
    this.list(notes);
    this.sum(began, sources);
  }

  lines(began, to, bands, notes) {
    const captured = { times: [0, ...this.captured.times.map((at) => at - began)], values: [0, ...this.captured.columns[0]] };
    const delivered = { times: [0, ...this.delivered.times.map((at) => at - began)], values: [0, ...this.delivered.columns[0]] };
    const edge = captured.times.at(-1);
    if (delivered.times.at(-1) < edge) {
      delivered.times.push(edge);
      delivered.values.push(delivered.values.at(-1));
    }
    this.drawn = { captured, delivered, notes, began, to };
    const series = [
      { kind: "area", name: "between", ...between(captured, delivered, edge) },
      { kind: "line", name: "captured", ...captured },
      // Between two arrivals nothing is delivered: steps, not slopes.
      { kind: "line", steps: true, name: "delivered", ...delivered },
    ];
    return { series, from: 0, to, spans: bands, marks: notes };
  }

  /** The bytes of each kind on those of the kinds before it. */
  layers(began) {
    const times = [0, ...this.delivered.times.map((at) => at - began)];
    times.push(Math.max((this.captured.times.at(-1) ?? began) - began, times.at(-1)));
    let floor = times.map(() => 0);
    return KINDS.map((_, kind) => {
      const column = this.delivered.columns[1 + kind];
      const own = [0, ...column, column.at(-1) ?? 0];
      const values = floor.map((under, at) => under + own[at]);
      const layer = { kind: "area", steps: true, name: `layer bytes-${kind}`, times, values, floor };
      floor = values;
      return layer;
    });
  }

  list(notes) {
    if ($("commands").childElementCount === notes.length) return;
    $("commands").replaceChildren(
      ...notes.map(([at, text], index) => {
        const button = element("button", "", element("b", "", String(index + 1)), element("span", "", text), element("time", "", lasting(at)));
        button.type = "button";
        button.addEventListener("focus", () => this.chart.point(at));
        button.addEventListener("pointerenter", () => this.chart.point(at));
        for (const kind of ["blur", "pointerleave"]) button.addEventListener(kind, () => this.chart.point(null));
        return element("li", "", button);
      }),
    );
  }

  sum(began, sources) {
    const parts = KINDS.map((name, kind) => [this.totals[1 + kind], kind, name]).filter(([bytes]) => bytes > 0);
    const texts = parts.map(([bytes, , name]) => `${name} ${size(bytes)}`);
    fill($("bytes-legend"), texts.join(), () => parts.map(([, kind], at) => element("li", "", element("i", `key bytes-${kind}`), texts[at])));
    const known = new Set(sources.filter((one) => one.capture_frequency_hz || one.interval_s || one.cron).map((one) => one.id ?? one.name));
    const of = [...this.arrived].filter(([source]) => known.has(source)).map(([, sums]) => sums);
    const bytes = of.reduce((sum, one) => sum + one.bytes, 0);
    const images = of.reduce((sum, one) => sum + one.images, 0);
    const seconds = (this.until ?? 0) - began;
    const a_day = ((bytes + this.last.bytes) / seconds) * 86400;
    $("rate").textContent = seconds > 4 && bytes ? `At this rate: ${size(a_day)} a day, of it ${Math.round((100 * images) / bytes)} % images.` : "";
  }

  tell(time) {
    if (!this.drawn) return;
    const { captured, delivered, notes, to } = this.drawn;
    if (time === null) {
      this.readout.textContent = "Items over seconds since the beginning. Numbers: commands.";
      return;
    }
    const taken = captured.values[Math.max(0, lastBefore(captured.times, time))];
    const there = delivered.values[Math.max(0, lastBefore(delivered.times, time))];
    const near = notes.filter(([when]) => Math.abs(when - time) < to / 120).map(([, text]) => text);
    this.readout.textContent = [`${time.toFixed(1)} s: captured ${count(taken)}, delivered ${count(there)}`, ...near].join(" · ");
  }

  tellBytes(time) {
    if (!this.drawn) return;
    const { began } = this.drawn;
    const at = time === null ? Infinity : time + began;
    const bytes = KINDS.reduce((sum, _, kind) => sum + this.delivered.at(at, 1 + kind), 0);
    $("bytes-now").textContent = time === null ? size(bytes) : `at ${time.toFixed(1)} s: ${size(bytes)}`;
  }
}

/** What waits: from what was delivered up to what was captured, at each moment at which either changes. */
function between(captured, delivered, edge) {
  const area = { times: [], values: [], floor: [] };
  let [a, b] = [0, 0];
  while (a < captured.times.length || b < delivered.times.length) {
    const time = Math.min(captured.times[a] ?? Infinity, delivered.times[b] ?? Infinity);
    if (time > edge) break;
    const before = delivered.values[Math.max(0, b - 1)];
    if (delivered.times[b] === time) b += 1;
    if (captured.times[a] === time) a += 1;
    const [t0, t1, v0] = [captured.times[a - 1] ?? 0, captured.times[a] ?? time, captured.values[a - 1] ?? 0];
    const taken = t1 > t0 ? v0 + (((captured.values[a] ?? v0) - v0) * (time - t0)) / (t1 - t0) : v0;
    const after = delivered.values[b - 1] ?? 0;
    for (const floor of before === after ? [after] : [before, after]) {
      area.times.push(time);
      area.floor.push(floor);
      area.values.push(Math.max(taken, floor));
    }
  }
  return area;
}

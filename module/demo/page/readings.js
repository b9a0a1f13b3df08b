// Readings: a plot for each of a component's values, with all sources that captured it; what never changes in a line.

import { Chart, lastBefore } from "/chart.js";
import { Values } from "/series.js";
import { count, element, fill, lasting, named, numeral, scaled } from "/words.js";

const MOST_PLOTS = 60;
const TONES = 6;
const $ = (id) => document.getElementById(id);

export class Readings {
  constructor() {
    this.values = new Map(); // component and key → what is known of it
    this.sources = new Map(); // source → its rows, its bytes, and its number within its component, which gives its colour
    this.components = new Map(); // component → its sources
    this.rows = 0;
  }

  add({ component, source, keys, rows, size }) {
    this.rows += rows.length;
    if (!this.components.has(component)) this.components.set(component, []);
    if (!this.sources.has(source)) {
      this.sources.set(source, { rows: 0, bytes: 0, number: this.components.get(component).length });
      this.components.get(component).push(source);
    }
    const sums = this.sources.get(source);
    sums.rows += rows.length;
    sums.bytes += size;
    keys.forEach((key, at) => {
      const id = `${component}\u0000${key}`;
      if (!this.values.has(id)) this.values.set(id, { component, key, series: new Map(), seen: new Set(), text: "", plot: null });
      const value = this.values.get(id);
      if (!value.series.has(source)) value.series.set(source, new Values());
      for (const row of rows) {
        const given = row[at + 1];
        if (given === null || given === undefined) continue;
        if (value.seen.size < 2) value.seen.add(given);
        value.text = given;
        if (typeof given === "string") continue;
        value.bool = typeof given === "boolean";
        value.series.get(source).add(row[0], Number(given));
      }
    });
  }

  show({ began, to, absences, sources }) {
    $("count-rows").textContent = count(this.rows);
    $("no-rows").hidden = this.rows > 0;
    // In the order of the config: what it names first is what matters most.
    const order = new Map(sources.map((one, at) => [one.name, at]).reverse());
    const ranked = [...this.values.values()].sort((a, b) => (order.get(a.component) ?? 99) - (order.get(b.component) ?? 99));
    const steady = [];
    let plots = 0;
    for (const value of ranked) {
      const points = [...value.series.values()].some((one) => one.count > 1);
      if (value.seen.size > 1 && points && plots < MOST_PLOTS) {
        this.plot(value, { began, to, absences }, plots);
        plots += 1;
      } else {
        steady.push(value);
      }
    }
    this.list(steady);
  }

  plot(value, { began, to, absences }, place) {
    // The source with the most points is the line, the others are dots upon it.
    const sorted = [...value.series].sort((a, b) => b[1].count - a[1].count);
    const most = Math.max(...sorted.map(([, one]) => one.most));
    const { name, unit } = named(value.key);
    value.scale = scaled(unit, most);
    value.plot ??= this.opened(value, name);
    if ($("plots").children[place] !== value.plot.card) $("plots").insertBefore(value.plot.card, $("plots").children[place] ?? null);
    value.plot.unit.textContent = value.scale.unit;
    value.plot.chart.show(() => ({ series: this.lines(value, sorted, began), from: 0, to, spans: absences }));
    this.compare(value, sorted.map(([source]) => source));
  }

  lines(value, sorted, began) {
    value.drawn = sorted.map(([source, one], at) => ({
      kind: at ? "dots" : "line",
      steps: value.bool,
      name: this.tone(source),
      times: one.times.map((time) => time - began),
      values: value.scale.factor === 1 ? one.values : one.values.map((given) => given * value.scale.factor),
    }));
    value.spread = spread(value.drawn[0].values);
    return value.drawn;
  }

  tone(source) {
    return `series-${this.sources.get(source).number % TONES}`;
  }

  opened(value, name) {
    const [last, unit, legend] = [element("span", "last"), element("span", ""), element("ul", "legend")];
    const title = element("h3", "", element("small", "", value.component), name, unit);
    const card = element("div", "card", element("div", "plot-head", title, last));
    const tell = (at) => {
      const line = value.drawn?.[0];
      if (!line) return;
      const index = at === null ? line.times.length - 1 : Math.max(0, lastBefore(line.times, at));
      const [given, when] = [line.values[index], line.times[index]];
      const text = value.bool ? answer(given) : quantity(given, value.scale.unit, value.spread);
      last.textContent = at === null ? text : `at ${when.toFixed(1)} s: ${text}`;
    };
    const options = value.bool ? { heights: [150, 66], ticks: [0, 1], words: answer } : { heights: [150, 104] };
    const chart = new Chart(card, { ...options, label: `${value.component}: ${value.key} over time`, tell });
    card.append(legend);
    return { card, chart, unit, legend };
  }

  /** What each other source kept of the rows of the one with the most. */
  compare(value, [all, ...others]) {
    if (!others.length) return;
    const whole = this.sources.get(all);
    const texts = others.map((source) => {
      const { rows, bytes } = this.sources.get(source);
      const fewer = Math.round(100 * (1 - bytes / whole.bytes));
      return [source, `${source}: ${count(rows)} of ${count(whole.rows)} rows kept, ${fewer} % fewer bytes`];
    });
    const entries = [[all, `${all}: all`], ...texts];
    fill(value.plot.legend, entries.join(), () => entries.map(([source, text]) => element("li", "", element("i", `key ${this.tone(source)}`), text)));
  }

  list(steady) {
    const items = steady.map((value) => {
      const { name, unit } = named(value.key);
      const { factor, unit: larger } = scaled(unit, Math.abs(Number(value.text)) || 0);
      const given = typeof value.text === "number" ? quantity(value.text * factor, larger) : value.bool ? answer(Number(value.text)) : value.text;
      return [name, given];
    });
    fill($("steady"), items.join(), () => items.map(([name, given]) => element("div", "", element("dt", "", name), element("dd", "", given))));
  }
}

const answer = (value) => (value ? "yes" : "no");

function spread(values) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return high - low;
}

/** With as many decimals as tell a hundredth of what the value moves by. */
function quantity(value, unit, moves = Math.abs(value)) {
  if (unit === "h") return lasting(3600 * value);
  const step = Number.isInteger(value) && moves >= 1 ? 1 : Math.max(moves, 1e-9) / 100;
  return `${numeral(value, step)}${unit ? ` ${unit}` : ""}`;
}

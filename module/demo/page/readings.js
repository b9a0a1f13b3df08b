// Readings: a plot for each of a component's values, with all sources that captured it; what never changes in a line.

import { Chart, lastBefore } from "/chart.js";
import { count, element, named, numeral } from "/words.js";

const MOST_PLOTS = 60;
const TONES = 6;
const $ = (id) => document.getElementById(id);

export class Readings {
  constructor() {
    this.values = new Map(); // component and key → what is known of it
    this.sources = new Map(); // source → its number, which gives its colour
    this.rows = 0;
  }

  add({ component, source, keys, rows }) {
    this.rows += rows.length;
    keys.forEach((key, at) => {
      const id = `${component}\u0000${key}`;
      if (!this.values.has(id)) this.values.set(id, { component, key, series: new Map(), seen: new Set(), text: "", plot: null });
      const value = this.values.get(id);
      if (!value.series.has(source)) value.series.set(source, { times: [], values: [] });
      const one = value.series.get(source);
      for (const row of rows) {
        const given = row[at + 1];
        if (given === null || given === undefined) continue;
        if (value.seen.size < 2) value.seen.add(given);
        value.text = given;
        if (typeof given !== "number") continue;
        // A batch that comes after a later one must not draw the line backwards.
        const place = lastBefore(one.times, row[0]) + 1;
        one.times.splice(place, 0, row[0]);
        one.values.splice(place, 0, given);
      }
    });
  }

  show({ began, to, absences }) {
    $("count-rows").textContent = count(this.rows);
    $("no-rows").hidden = this.rows > 0;
    const steady = [];
    let plots = 0;
    for (const value of this.values.values()) {
      const points = [...value.series.values()].some((one) => one.times.length > 1);
      const moves = value.seen.size > 1 && points && plots < MOST_PLOTS;
      if (moves) {
        plots += 1;
        this.plot(value, { began, to, absences });
      } else {
        steady.push(value);
      }
    }
    this.list(steady);
    this.legend();
  }

  plot(value, { began, to, absences }) {
    const { name, unit } = named(value.key);
    value.plot ??= this.opened(value, name, unit);
    // The source with the most points is the line, the others are dots upon it.
    const sorted = [...value.series].sort((a, b) => b[1].times.length - a[1].times.length);
    for (const [source] of sorted) if (!this.sources.has(source)) this.sources.set(source, this.sources.size);
    value.drawn = sorted.map(([source, one], at) => ({
      kind: at ? "dots" : "line",
      name: this.tone(source),
      times: one.times.map((time) => time - began),
      values: one.values,
    }));
    value.plot.chart.show({ series: value.drawn, from: 0, to, spans: absences });
  }

  tone(source) {
    return `series-${this.sources.get(source) % TONES}`;
  }

  opened(value, name, unit) {
    const last = element("span", "");
    const title = element("h3", "", name, element("span", "", unit));
    const card = element("div", "card", element("div", "plot-head", title, last));
    $("plots").append(card);
    const tell = (at) => {
      const line = value.drawn?.[0];
      if (!line) return;
      const index = at === null ? line.times.length - 1 : Math.max(0, lastBefore(line.times, at));
      const [given, when] = [line.values[index], line.times[index]];
      const text = `${numeral(given, Number.isInteger(given) ? 1 : 0.1)}${unit ? ` ${unit}` : ""}`;
      last.textContent = at === null ? text : `at ${when.toFixed(1)} s: ${text}`;
    };
    const chart = new Chart(card, { height: 150, label: `${value.component}: ${value.key} over time`, tell });
    return { card, chart };
  }

  list(steady) {
    const items = steady.map((value) => {
      const { name, unit } = named(value.key);
      const given = typeof value.text === "number" ? numeral(value.text, Number.isInteger(value.text) ? 1 : 0.01) : value.text;
      return element("div", "", element("dt", "", name), element("dd", "", `${given}${unit ? ` ${unit}` : ""}`));
    });
    $("steady").replaceChildren(...items);
  }

  legend() {
    const drawn = [...this.sources.keys()];
    if ($("readings-legend").childElementCount === drawn.length) return;
    $("readings-legend").replaceChildren(
      ...drawn.map((source) => element("li", "", element("i", `key ${this.tone(source)}`), source)),
    );
  }
}

// What became of each source, as a table.

import { count, element, fill, lasting, size } from "/words.js";

const METHODS = new Map([
  ["tabular_data_capture_upload", "rows"],
  ["binary_data_capture_upload", "one message"],
  ["streaming_data_capture_upload", "stream"],
  ["file_upload", "file"],
]);
const $ = (id) => document.getElementById(id);

function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[sorted.length >> 1];
}

export class Sources {
  constructor() {
    this.known = new Map();
  }

  of(name) {
    if (!this.known.has(name)) this.known.set(name, { delivered: 0, size: 0, methods: new Set(), delays: [] });
    return this.known.get(name);
  }

  add(arrival) {
    const source = this.of(arrival.source);
    source.delivered += arrival.items - arrival.again;
    source.size += arrival.size;
    source.methods.add(METHODS.get(arrival.method) ?? arrival.method);
    if (arrival.captured !== null) source.delays.push(arrival.arrived - arrival.captured);
    if (source.delays.length > 200) source.delays.shift();
  }

  /** In the order of the config, then of `captured`, by name what each has captured; what commands handed in comes last. */
  show(captured, configured, ended) {
    for (const name of Object.keys(captured)) if (captured[name] > 0) this.of(name);
    const first = configured.map((source) => source.id ?? source.name);
    const order = [...new Set([...first, ...Object.keys(captured)])].filter((name) => Object.hasOwn(captured, name) && this.known.has(name));
    const names = [...order, ...[...this.known.keys()].filter((name) => !Object.hasOwn(captured, name))];
    const rows = names.map((name) => {
      const source = this.known.get(name);
      const taken = Object.hasOwn(captured, name) ? captured[name] : null;
      // What has arrived was captured, though the status that says so may come a moment later.
      const shown = ended ? taken : Math.max(taken, source.delivered);
      const behind = taken !== null && taken > source.delivered;
      return [
        ["", name],
        [taken === null ? "n dim" : "n", taken === null ? "–" : count(shown)],
        [behind ? "n behind" : "n", count(source.delivered)],
        ["n", size(source.size)],
        ["n wide dim", source.delays.length ? lasting(median(source.delays)) : "–"],
        ["wide dim", [...source.methods].join(", ") || "–"],
      ];
    });
    fill($("sources").tBodies[0], rows.join(), () => rows.map((row) => element("tr", "", ...row.map(([kind, text]) => element("td", kind, text)))));
  }
}

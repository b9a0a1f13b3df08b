// The files that arrived: by source and time, and opened where they stand: rows as a table, texts as texts.

import { clock, count, element, size } from "/words.js";

const PAGE = 12;
const MOST_TEXT = 64 * 1024;
const MOST_ROWS = 100;
const TEXTS = /\.(txt|log|json|ndjson|csv|tsv|md|xml|html|ya?ml|toml|ini|conf|cfg)$/i;
const $ = (id) => document.getElementById(id);

export class Files {
  constructor() {
    this.all = []; // the oldest first
    this.most = PAGE;
    this.open = null;
    this.rows = new Map();
    $("more-files").addEventListener("click", () => {
      this.most += 5 * PAGE;
      this.show();
    });
  }

  add(file) {
    this.all.push(file);
  }

  show() {
    $("count-files").textContent = count(this.all.length);
    $("no-files").hidden = this.all.length > 0;
    $("files").hidden = this.all.length === 0;
    const state = `${this.all.length} ${this.most}`;
    if (this.drawn === state) return;
    this.drawn = state;
    const shown = this.all.slice(-this.most).reverse();
    const kept = new Map(shown.map((file) => [file.id, this.rows.get(file.id) ?? this.row(file)]));
    this.rows = kept;
    const focused = document.activeElement;
    $("files").tBodies[0].replaceChildren(...[...kept.values()].flatMap(({ row, below }) => (below ? [row, below] : [row])));
    if ($("files").contains(focused)) focused.focus({ preventScroll: true });
    $("more-files").hidden = this.all.length <= this.most;
    $("more-files").textContent = `Show more (${count(this.all.length - this.most)} older)`;
  }

  row(file) {
    const entry = { row: null, below: null };
    const readings = `${count(file.items)} ${file.items === 1 ? "reading" : "readings"}`;
    const link = element("a", "", "Save");
    if (file.kept) {
      link.href = `/file/${encodeURIComponent(file.id)}`;
      link.download = file.name;
      link.setAttribute("aria-label", `Save ${file.name}`);
    }
    const name = shortName(file);
    const opens = file.kept && TEXTS.test(file.name);
    const title = opens ? element("button", "opener", name) : element("span", "", name);
    title.title = file.name;
    if (opens) {
      title.type = "button";
      title.setAttribute("aria-expanded", "false");
      title.addEventListener("click", () => this.toggle(file, entry, title));
    }
    const cells = [
      element("td", "name", title),
      element("td", "wide", file.source),
      element("td", "wide dim", file.name.endsWith(".ndjson") ? readings : file.kind),
      element("td", "n", size(file.size)),
      element("td", "n dim", clock(file.arrived)),
      element("td", "n", ...(file.kept ? [link] : [])),
    ];
    entry.row = element("tr", "", ...cells);
    return entry;
  }

  async toggle(file, entry, title) {
    const opening = !entry.below;
    title.setAttribute("aria-expanded", String(opening));
    if (!opening) {
      entry.below.remove();
      entry.below = null;
      return;
    }
    const cell = element("td", "below", element("p", "dim", "opening"));
    // As many as are seen: on a phone two are left out.
    cell.colSpan = [...$("files").tHead.rows[0].cells].filter((one) => one.checkVisibility()).length;
    entry.below = element("tr", "opened", cell);
    entry.row.after(entry.below);
    try {
      const { text, whole } = await beginning(file);
      const shown = file.name.endsWith(".ndjson") ? table(text, whole) : element("pre", "", text);
      shown.tabIndex = 0;
      shown.setAttribute("role", "region");
      shown.setAttribute("aria-label", file.name);
      const cut = whole ? [] : [element("p", "dim", `The first ${size(MOST_TEXT)} of ${size(file.size)}.`)];
      cell.replaceChildren(element("p", "dim full-name", file.name), shown, ...cut);
    } catch {
      cell.replaceChildren(element("p", "dim", "This file cannot be opened."));
    }
  }
}

/** "host-log 14:03:05" where its name is only its source and a time, else its name. */
function shortName(file) {
  return file.name.startsWith(`${file.source}_`) || /^[0-9T:.Z_-]+(-\d+)?\.\w+$/.test(file.name) ? `${file.source} ${clock(file.captured ?? file.arrived)}` : file.name;
}

/** A file's first bytes as text: no more is read of a large one. */
async function beginning(file) {
  const answer = await fetch(`/file/${encodeURIComponent(file.id)}`);
  if (!answer.ok) throw new Error("it is not there any more");
  const reader = answer.body.getReader();
  const [parts, decoder] = [[], new TextDecoder()];
  let read = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(decoder.decode(value.subarray(0, MOST_TEXT - read), { stream: true }));
    read += value.length;
    if (read > MOST_TEXT) {
      reader.cancel();
      break;
    }
  }
  return { text: parts.join(""), whole: read <= MOST_TEXT };
}

/** Rows of a document, a column for each key of their readings. */
function table(text, whole) {
  const lines = text.split("\n").filter(Boolean);
  if (!whole) lines.pop();
  const rows = lines.slice(0, MOST_ROWS).map((line) => JSON.parse(line));
  const keys = [...new Set(rows.flatMap((row) => Object.keys(row.readings ?? row)))];
  const head = element("tr", "", ...["time", ...keys].map((key) => element("th", "", key)));
  const body = rows.map((row) => {
    const time = row.time_requested ? clock(Date.parse(row.time_requested) / 1000, true) : "";
    const values = keys.map((key) => (row.readings ?? row)[key]);
    return element("tr", "", element("td", "", time), ...values.map((value) => element("td", "", worded(value))));
  });
  for (const cell of head.children) cell.scope = "col";
  const made = element("table", "rows", element("thead", "", head), element("tbody", "", ...body));
  const more = lines.length > MOST_ROWS ? [element("p", "dim", `The first ${MOST_ROWS} of ${count(lines.length)} rows.`)] : [];
  return element("div", "", made, ...more);
}

const worded = (value) => (value === undefined ? "" : typeof value === "object" ? JSON.stringify(value) : String(value));

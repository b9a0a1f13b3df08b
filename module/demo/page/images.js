// Images: a grid, the newest first, and a choice of sources.

import { boxesOver, seen } from "/annotations.js";
import { lastBefore } from "/chart.js";
import { Viewer } from "/viewer.js";
import { clock, count, element } from "/words.js";

const PAGE = 24;
const $ = (id) => document.getElementById(id);

export class Images {
  constructor() {
    this.all = []; // oldest capture first
    this.times = [];
    this.counts = new Map();
    this.names = new Map(); // source → the names that its camera has for its images
    this.tiles = new Map();
    this.source = null;
    this.most = PAGE;
    this.held = false;
    this.viewer = new Viewer((image) => this.titled(image));
    $("more-images").addEventListener("click", () => {
      this.most += 2 * PAGE;
      this.fill();
    });
    // The grid stands still while somebody aims at it.
    $("grid").addEventListener("pointerenter", (event) => (this.held = event.pointerType === "mouse"));
    $("grid").addEventListener("pointerleave", () => (this.held = false));
  }

  add(image) {
    const place = lastBefore(this.times, image.captured) + 1;
    this.times.splice(place, 0, image.captured);
    this.all.splice(place, 0, image);
    this.counts.set(image.source, (this.counts.get(image.source) ?? 0) + 1);
    if (!this.names.has(image.source)) this.names.set(image.source, new Set());
    const names = this.names.get(image.source);
    if (names.has(image.image ?? "")) return;
    names.add(image.image ?? "");
    // From now on each is called by its own name too.
    if (names.size === 2) for (const [id, tile] of this.tiles) if (tile.source === image.source) this.tiles.delete(id);
  }

  /** "front"; of a camera with several images "depth · color". */
  titled(image) {
    return this.names.get(image.source)?.size > 1 && image.image ? `${image.source} · ${image.image}` : image.source;
  }

  show() {
    $("count-images").textContent = count(this.all.length);
    $("no-images").hidden = this.all.length > 0;
    this.choices();
    if (!this.held || !$("grid").childElementCount) this.fill();
  }

  /** Those of the chosen source, the newest first. */
  chosen() {
    const some = this.source === null ? this.all : this.all.filter((image) => image.source === this.source);
    return some.toReversed();
  }

  choices() {
    const names = this.counts.size > 1 ? [null, ...[...this.counts.keys()].sort()] : [];
    const chips = $("chips");
    if (chips.childElementCount !== names.length) {
      chips.replaceChildren(
        ...names.map((name) => {
          const chip = element("button", "", name ?? "All", element("b", ""));
          chip.type = "button";
          chip.addEventListener("click", () => {
            this.source = name;
            this.most = PAGE;
            this.choices();
            this.fill();
          });
          return chip;
        }),
      );
    }
    names.forEach((name, at) => {
      chips.children[at].setAttribute("aria-pressed", String(name === this.source));
      chips.children[at].lastElementChild.textContent = count(name === null ? this.all.length : this.counts.get(name));
    });
  }

  fill() {
    const chosen = this.chosen();
    const wanted = chosen.slice(0, this.most);
    const grid = $("grid");
    let next = grid.firstElementChild;
    for (const image of wanted) {
      if (!this.tiles.has(image.id)) this.tiles.set(image.id, { source: image.source, item: this.tile(image) });
      const { item } = this.tiles.get(image.id);
      if (item === next) next = next.nextElementSibling;
      else grid.insertBefore(item, next);
    }
    while (grid.childElementCount > wanted.length) grid.lastElementChild.remove();
    if (this.tiles.size > 4 * this.most) {
      const kept = new Set(wanted.map((image) => image.id));
      for (const id of this.tiles.keys()) if (!kept.has(id)) this.tiles.delete(id);
    }
    const left = chosen.length - wanted.length;
    $("more-images").hidden = left <= 0;
    $("more-images").textContent = `Show more (${count(left)} older)`;
  }

  tile(image) {
    const title = this.titled(image);
    const button = pictured(image, title, {});
    button.querySelector("figure").append(element("figcaption", "", element("strong", "", title), element("span", "", clock(image.captured, true))));
    button.addEventListener("click", () => this.viewer.view(image, () => this.chosen(), button));
    return element("li", "", button);
  }
}

/** A button with a small picture of an image and its boxes. */
export function pictured(image, title, { letters = 0 }) {
  const picture = element("img", "");
  picture.loading = "lazy";
  picture.decoding = "async";
  picture.alt = [`${title}, ${clock(image.captured)}`, seen(image)].filter(Boolean).join(", ");
  picture.src = `/small/${encodeURIComponent(image.id)}`;
  const framed = element("span", "framed", picture);
  if (image.boxes?.length) framed.append(boxesOver(picture, image.boxes, { fit: "slice", letters }));
  const button = element("button", "", element("figure", "", framed));
  button.type = "button";
  return button;
}

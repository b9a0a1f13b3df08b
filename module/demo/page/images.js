// Images: a grid, the newest first, a choice of sources, and a viewer that opens one large.

import { clock, count, element, lasting, size } from "/words.js";

const PAGE = 24;
const $ = (id) => document.getElementById(id);

export class Images {
  constructor() {
    this.all = []; // newest capture first
    this.counts = new Map();
    this.tiles = new Map();
    this.source = null;
    this.most = PAGE;
    this.held = false;
    this.open = null;
    $("more-images").addEventListener("click", () => {
      this.most += 2 * PAGE;
      this.fill();
    });
    // The grid stands still while somebody aims at it.
    $("grid").addEventListener("pointerenter", (event) => (this.held = event.pointerType === "mouse"));
    $("grid").addEventListener("pointerleave", () => (this.held = false));
    $("viewer-close").addEventListener("click", () => $("viewer").close());
    $("viewer-newer").addEventListener("click", () => this.step(-1));
    $("viewer-older").addEventListener("click", () => this.step(1));
    $("viewer").addEventListener("click", (event) => {
      if (event.target.matches("dialog, .stage")) $("viewer").close();
    });
    $("viewer").addEventListener("close", () => {
      const tile = this.tiles.get(this.open?.id);
      this.open = null;
      $("viewer-image").removeAttribute("src");
      tile?.querySelector("button").focus({ preventScroll: true });
    });
    $("viewer").addEventListener("keydown", (event) => {
      if (event.key === "ArrowLeft") this.step(-1);
      if (event.key === "ArrowRight") this.step(1);
    });
    $("viewer-image").addEventListener("load", () => this.describe());
    $("viewer-image").addEventListener("error", () => {
      $("viewer-broken").hidden = !this.open;
      $("viewer-image").hidden = true;
    });
  }

  add(image) {
    let at = 0;
    while (at < this.all.length && this.all[at].captured > image.captured) at += 1;
    this.all.splice(at, 0, image);
    this.counts.set(image.source, (this.counts.get(image.source) ?? 0) + 1);
  }

  show() {
    $("count-images").textContent = count(this.all.length);
    $("no-images").hidden = this.all.length > 0;
    this.choices();
    if (!this.held || !$("grid").childElementCount) this.fill();
  }

  chosen() {
    return this.source === null ? this.all : this.all.filter((image) => image.source === this.source);
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
      if (!this.tiles.has(image.id)) this.tiles.set(image.id, this.tile(image));
      const tile = this.tiles.get(image.id);
      if (tile === next) next = next.nextElementSibling;
      else grid.insertBefore(tile, next);
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
    const picture = element("img", "");
    picture.loading = "lazy";
    picture.decoding = "async";
    picture.alt = `${image.source}, ${clock(image.captured)}`;
    picture.src = `/small/${encodeURIComponent(image.id)}`;
    const caption = element("figcaption", "", element("strong", "", image.source), element("span", "", clock(image.captured, true)));
    const button = element("button", "", element("figure", "", picture, caption));
    button.type = "button";
    button.addEventListener("click", () => this.view(image));
    return element("li", "", button);
  }

  view(image) {
    this.open = image;
    $("viewer-broken").hidden = true;
    $("viewer-image").hidden = false;
    $("viewer-image").src = `/large/${encodeURIComponent(image.id)}`;
    $("viewer-image").alt = `${image.source}, captured ${clock(image.captured)}`;
    $("viewer-file").href = `/file/${encodeURIComponent(image.id)}`;
    $("viewer-file").download = image.name;
    $("viewer-title").textContent = image.source;
    this.describe();
    const chosen = this.chosen();
    const at = chosen.indexOf(image);
    $("viewer-newer").disabled = at <= 0;
    $("viewer-older").disabled = at < 0 || at === chosen.length - 1;
    if (!$("viewer").open) $("viewer").showModal();
  }

  describe() {
    if (!this.open) return;
    const picture = $("viewer-image");
    const parts = [
      `captured ${clock(this.open.captured, true)}`,
      `in the cloud ${lasting(this.open.arrived - this.open.captured)} later`,
      size(this.open.size),
    ];
    // Large, yet no larger than its pixels bear.
    picture.style.maxWidth = picture.naturalWidth ? `min(100%, ${3 * picture.naturalWidth}px)` : "";
    picture.style.maxHeight = picture.naturalHeight ? `min(100%, ${3 * picture.naturalHeight}px)` : "";
    if (picture.naturalWidth) parts.push(`${picture.naturalWidth} × ${picture.naturalHeight}`);
    if (this.open.name.endsWith(".png")) parts.push("depth is shown in false colours, near is bright");
    $("viewer-facts").textContent = parts.join(" · ");
  }

  step(by) {
    const chosen = this.chosen();
    const image = chosen[chosen.indexOf(this.open) + by];
    if (this.open && image) this.view(image);
  }
}

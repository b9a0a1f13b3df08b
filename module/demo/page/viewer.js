// One image, large, over the page: with its boxes, its facts, and the way to those beside it.

import { boxesOver, seen } from "/annotations.js";
import { clock, lasting, size } from "/words.js";

const $ = (id) => document.getElementById(id);

export class Viewer {
  /** `titled(image)` says what an image is called. */
  constructor(titled) {
    this.titled = titled;
    this.open = null;
    this.images = () => [];
    $("viewer-close").addEventListener("click", () => $("viewer").close());
    $("viewer-newer").addEventListener("click", () => this.step(-1));
    $("viewer-older").addEventListener("click", () => this.step(1));
    $("viewer").addEventListener("click", (event) => {
      if (event.target.matches("dialog, .stage")) $("viewer").close();
    });
    $("viewer").addEventListener("close", () => {
      this.open = null;
      $("viewer-image").removeAttribute("src");
      this.from?.focus({ preventScroll: true });
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

  /** Open `image`, one of those that `images()` returns, the newest first; the focus goes back to `from`. */
  view(image, images, from) {
    Object.assign(this, { open: image, images, from });
    $("viewer-broken").hidden = true;
    $("viewer-image").hidden = false;
    $("viewer-image").src = `/large/${encodeURIComponent(image.id)}`;
    $("viewer-image").alt = [`${this.titled(image)}, captured ${clock(image.captured)}`, seen(image)].filter(Boolean).join(", ");
    $("viewer-file").href = `/file/${encodeURIComponent(image.id)}`;
    $("viewer-file").download = image.name;
    $("viewer-title").textContent = this.titled(image);
    this.boxes?.remove();
    this.boxes = boxesOver($("viewer-image"), image.boxes ?? [], { fit: "meet", letters: 32 });
    $("viewer-image").after(this.boxes);
    this.describe();
    const all = images();
    const at = all.indexOf(image);
    $("viewer-newer").disabled = at <= 0;
    $("viewer-older").disabled = at < 0 || at === all.length - 1;
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
    for (const one of [picture, this.boxes]) {
      one.style.maxWidth = picture.naturalWidth ? `min(100%, ${3 * picture.naturalWidth}px)` : "";
      one.style.maxHeight = picture.naturalHeight ? `min(100%, ${3 * picture.naturalHeight}px)` : "";
    }
    if (picture.naturalWidth) parts.push(`${picture.naturalWidth} × ${picture.naturalHeight}`);
    if (seen(this.open)) parts.push(seen(this.open));
    if (this.open.name.endsWith(".png")) parts.push("depth is shown in false colours, near is bright");
    $("viewer-facts").textContent = parts.join(" · ");
  }

  step(by) {
    const all = this.images();
    const image = all[all.indexOf(this.open) + by];
    if (this.open && image) this.view(image, this.images, this.from);
  }
}

// What gates kept, as filmstrips: the frames before a gate opened, the moment, and the frames after it.

import { pictured } from "/images.js";
import { clock, count, element } from "/words.js";

const MOST_TAKES = 4;
const MOST_FRAMES = 40;
const $ = (id) => document.getElementById(id);

export class Filmstrips {
  /** `images` has the viewer that a frame opens in. */
  constructor(images) {
    this.images = images;
    this.frames = new Map(); // source → its frames, oldest first
    this.drawn = new Map(); // take → what it was when it was drawn, and its element
    this.parted = new Map(); // source → its takes, and of how much they are
    this.most = MOST_TAKES;
    $("more-takes").addEventListener("click", () => {
      this.most += MOST_TAKES;
      this.show(this.known);
    });
  }

  add(image) {
    if (!this.frames.has(image.source)) this.frames.set(image.source, []);
    const frames = this.frames.get(image.source);
    let place = frames.length;
    while (place > 0 && frames[place - 1].captured > image.captured) place -= 1;
    frames.splice(place, 0, image);
  }

  /** `sources` as configured; `openings` are [source, at, why], oldest first. */
  show(known) {
    this.known = known;
    const { sources, openings, began } = known;
    const takes = sources.filter((one) => one.gate).flatMap((source) => this.takes(source, openings));
    takes.sort((a, b) => b.keeping - a.keeping || b.frames[0].captured - a.frames[0].captured);
    // Gates that keep what came before have strips of their own; the others share a row.
    const strips = takes.filter((take) => take.keeping).slice(0, this.most);
    const short = takes.filter((take) => !take.keeping).slice(0, this.most);
    $("events").hidden = takes.length === 0;
    $("count-takes").textContent = count(takes.length);
    this.put($("takes"), strips, began);
    this.put($("short-takes"), short, began);
    const left = takes.length - strips.length - short.length;
    $("more-takes").hidden = left <= 0;
    $("more-takes").textContent = `Show more (${count(left)} older)`;
  }

  /** A source's takes; worked out again when there is something new. */
  takes(source, openings) {
    const name = source.id ?? source.name;
    const own = openings.filter(([of]) => of === name);
    const state = `${this.frames.get(name)?.length} ${own.length}`;
    if (this.parted.get(name)?.state !== state) this.parted.set(name, { state, takes: this.part(source, name, own) });
    return this.parted.get(name).takes;
  }

  /** A source's frames, parted by the openings of its gate; where none is known, wherever none was kept for a while. */
  part(source, name, own) {
    const every = source.interval_s ?? 1 / (source.capture_frequency_hz ?? 1);
    const before = source.gate.before_s ?? 0;
    const takes = [];
    for (const frame of this.frames.get(name) ?? []) {
      const opening = own.findLast(([, at]) => at - before - every / 2 <= frame.captured) ?? null;
      const last = takes.at(-1);
      const near = opening !== null || (last && frame.captured - last.frames.at(-1).captured <= 2.5 * every);
      if (last && near && last.opening === opening) last.frames.push(frame);
      else takes.push({ source: name, keeping: before > 0, opening, frames: [frame] });
    }
    for (const take of takes) Object.assign(take, opened(take, source.gate));
    return takes;
  }

  put(place, takes, began) {
    const items = takes.map((take) => {
      const id = `${take.source} ${take.frames[0].id}`;
      const state = `${take.frames.length} ${take.frames.at(-1).id} ${take.at}`;
      if (this.drawn.get(id)?.state !== state) this.drawn.set(id, { state, item: this.drawTake(take, began, this.drawn.get(id)?.item) });
      return this.drawn.get(id).item;
    });
    if (items.length !== place.childElementCount || items.some((item, at) => item !== place.children[at])) place.replaceChildren(...items);
  }

  drawTake(take, began, former) {
    const before = take.at === null ? 0 : take.frames.filter((frame) => frame.captured < take.at).length;
    const after = take.frames.length - before;
    const when = take.at === null ? `from ${(take.frames[0].captured - began).toFixed(1)} s` : `${take.why} at ${(take.at - began).toFixed(1)} s`;
    const kept = before ? `${before} before it, ${after} after` : `${count(take.frames.length)} ${take.frames.length === 1 ? "frame" : "frames"}`;
    const heading = element("p", "take-head", element("strong", "", take.source), element("span", "", when), element("span", "", kept));
    const strip = element("ol", "strip");
    const skipped = take.frames.length - MOST_FRAMES;
    take.frames.forEach((frame, at) => {
      if (before && at === before) strip.append(element("li", "moment", element("span", "", take.why)));
      // Of a gate that stays open for long, the first frames and the last.
      const place = at - MOST_FRAMES / 2;
      if (place >= 0 && place < skipped) {
        if (place === 0) strip.append(element("li", "skipped", `${count(skipped)} more`));
      } else strip.append(this.frame(frame, take, at < before));
    });
    strip.tabIndex = 0;
    strip.setAttribute("aria-label", `${take.source}, ${when}`);
    const item = element("li", "take", heading, strip);
    const scrolled = former?.querySelector(".strip").scrollLeft;
    if (scrolled) requestAnimationFrame(() => (strip.scrollLeft = scrolled));
    return item;
  }

  frame(frame, take, early) {
    const button = pictured(frame, take.source, { letters: 13 });
    const off = take.at === null ? null : frame.captured - take.at;
    const caption = off === null ? clock(frame.captured, true) : `${Math.abs(off) < 0.05 ? "" : off < 0 ? "−" : "+"}${Math.abs(off).toFixed(1)} s`;
    button.querySelector("figure").append(element("figcaption", "", caption));
    button.addEventListener("click", () => this.images.viewer.view(frame, () => take.frames.toReversed(), button));
    return element("li", early ? "early" : "", button);
  }
}

/** When and why the gate opened for these frames: by a row or a command, else by the first frame in which something was found. */
function opened({ frames, opening }, gate) {
  if (opening) return { at: opening[1], why: opening[2] };
  const found = frames.find((frame) => frame.boxes?.length);
  return found ? { at: found.captured, why: `${gate.vision ?? "vision"}: ${found.boxes[0][0]}` } : { at: null, why: "" };
}

// Point clouds: the newest one, or the one that was chosen, to be turned; its facts and the way to the others.

import { Cloud } from "/cloud.js";
import { parsePcd } from "/pcd.js";
import { clock, count, size } from "/words.js";

const $ = (id) => document.getElementById(id);

export class Clouds {
  constructor() {
    this.all = []; // in the order of their arrival
    this.at = null; // the chosen one's place; null: the newest
    this.shown = null;
    this.seen = false;
    this.cloud = new Cloud($("cloud"));
    $("cloud-older").addEventListener("click", () => this.step(-1));
    $("cloud-newer").addEventListener("click", () => this.step(1));
    $("cloud-nearer").addEventListener("click", () => this.cloud.turn({ zoom: this.cloud.view.zoom * 1.3 }));
    $("cloud-farther").addEventListener("click", () => this.cloud.turn({ zoom: this.cloud.view.zoom / 1.3 }));
    $("cloud-reset").addEventListener("click", () => this.cloud.reset());
    // Nothing is fetched until somebody looks.
    new IntersectionObserver(([entry]) => {
      this.seen = entry.isIntersecting;
      this.show();
    }).observe($("cloud"));
  }

  add(cloud) {
    this.all.push(cloud);
  }

  step(by) {
    const place = (this.at ?? this.all.length - 1) + by;
    if (place < 0 || place >= this.all.length) return;
    this.at = place === this.all.length - 1 ? null : place;
    this.show();
  }

  show() {
    $("point-clouds").hidden = this.all.length === 0;
    $("count-clouds").textContent = count(this.all.length);
    const place = this.at ?? this.all.length - 1;
    $("cloud-older").disabled = place <= 0;
    $("cloud-newer").disabled = place >= this.all.length - 1;
    const wanted = this.all[place];
    // One that is being turned is not taken away.
    if (!this.seen || !wanted || wanted === this.shown || this.busy || (this.at === null && this.cloud.pointers.size)) return;
    this.busy = true;
    this.open(wanted).finally(() => {
      this.busy = false;
      if (this.shown !== this.all[this.at ?? this.all.length - 1] && this.at !== null) this.show();
    });
  }

  async open(wanted) {
    this.shown = wanted;
    const facts = [wanted.source, clock(wanted.captured ?? wanted.arrived), size(wanted.size)];
    try {
      const answer = await fetch(`/file/${encodeURIComponent(wanted.id)}`);
      if (!answer.ok) throw new Error("it is not there any more");
      const cloud = parsePcd(await answer.arrayBuffer());
      this.cloud.show(cloud);
      $("cloud-facts").textContent = [...facts, `${count(cloud.count)} points`].join(" · ");
      $("cloud").dataset.points = cloud.count;
    } catch (error) {
      $("cloud-facts").textContent = [...facts, `cannot be shown: ${error.message}`].join(" · ");
    }
    $("cloud-file").href = `/file/${encodeURIComponent(wanted.id)}`;
    $("cloud-file").download = wanted.name;
  }
}

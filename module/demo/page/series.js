// What is remembered of numbers over time: as much as a chart can show, however long the run.

import { lastBefore } from "/chart.js";

const MOST = 600;

/** Totals that only grow, at most one an interval; the interval doubles when there are too many. */
export class Totals {
  /** `width`: how many totals are kept side by side. */
  constructor(width) {
    this.times = [];
    this.columns = Array.from({ length: width }, () => []);
    this.apart = 0;
  }

  get last() {
    return this.columns.map((column) => column.at(-1) ?? 0);
  }

  add(at, totals) {
    // The newest total always stays; it takes the place of one that is too near.
    const near = this.times.length > 1 && at - this.times.at(-2) < this.apart;
    const place = near ? this.times.length - 1 : this.times.length;
    this.times[place] = at;
    totals.forEach((total, column) => (this.columns[column][place] = total));
    if (this.times.length <= MOST) return;
    this.apart = Math.max(2 * this.apart, (2 * (at - this.times[0])) / MOST);
    const kept = [];
    this.times.forEach((time, index) => {
      if (!kept.length || index === this.times.length - 1 || time - this.times[kept.at(-1)] >= this.apart) kept.push(index);
    });
    this.times = kept.map((index) => this.times[index]);
    this.columns = this.columns.map((column) => kept.map((index) => column[index]));
  }

  /** The total of a column at that time; 0 before the first. */
  at(time, column = 0) {
    return this.columns[column][lastBefore(this.times, time)] ?? 0;
  }
}

/** Values in the order of their times; of four neighbours the lowest and the highest stay when there are too many. */
export class Values {
  constructor() {
    this.times = [];
    this.values = [];
    this.count = 0;
    this.most = 0; // the largest, whatever its sign
  }

  add(at, value) {
    this.count += 1;
    this.most = Math.max(this.most, Math.abs(value));
    // A batch that comes after a later one must not draw the line backwards.
    const place = lastBefore(this.times, at) + 1;
    if (place === this.times.length) {
      this.times.push(at);
      this.values.push(value);
    } else {
      this.times.splice(place, 0, at);
      this.values.splice(place, 0, value);
    }
    if (this.times.length > 2 * MOST) this.thin();
  }

  thin() {
    const kept = [];
    for (let from = 0; from < this.times.length; from += 4) {
      const group = [from, from + 1, from + 2, from + 3].filter((index) => index < this.times.length);
      const sorted = [...group].sort((a, b) => this.values[a] - this.values[b]);
      kept.push(...[...new Set([sorted[0], sorted.at(-1)])].sort((a, b) => a - b));
    }
    this.times = kept.map((index) => this.times[index]);
    this.values = kept.map((index) => this.values[index]);
  }
}

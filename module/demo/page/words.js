// Numbers, times and units as people read them, and elements made of texts: nothing here is ever parsed as HTML.

const THIN = "\u202f";

/** An element with a class and texts or elements in it. */
export function element(tag, name, ...inside) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  made.append(...inside);
  return made;
}

const WHOLE = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const DECIMALS = Array.from({ length: 7 }, (_, digits) => new Intl.NumberFormat("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits }));

/** 1234567 as 1,234,567. */
export const count = (number) => WHOLE.format(number);

/** Have an element hold `inside`, made anew only where `state`, a text, is another than last time. */
export function fill(place, state, inside) {
  if (STATES.get(place) === state) return;
  STATES.set(place, state);
  place.replaceChildren(...inside());
}

const STATES = new WeakMap();

/** Bytes in decimal units. */
export function size(bytes) {
  if (bytes < 1000) return `${Math.round(bytes)}${THIN}B`;
  for (const [unit, power] of [["kB", 1e3], ["MB", 1e6]]) {
    if (bytes < power * 1000) return `${(bytes / power).toFixed(1)}${THIN}${unit}`;
  }
  return bytes < 1e11 ? `${(bytes / 1e9).toFixed(1)}${THIN}GB` : `${count(bytes / 1e9)}${THIN}GB`;
}

/** A length of time. */
export function lasting(seconds) {
  if (seconds < 1) return `${Math.max(0, Math.round(seconds * 1000))}${THIN}ms`;
  if (seconds < 100) return `${seconds.toFixed(1)}${THIN}s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)}${THIN}min ${Math.floor(seconds % 60)}${THIN}s`;
  return `${Math.floor(seconds / 3600)}${THIN}h ${Math.floor((seconds % 3600) / 60)}${THIN}min`;
}

/** The time of day, in the browser's zone; to a tenth of a second where that is asked for. */
export function clock(at, tenths = false) {
  const date = new Date(at * 1000);
  const rest = tenths ? `.${Math.floor(date.getMilliseconds() / 100)}` : "";
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => String(part).padStart(2, "0")).join(":") + rest;
}

/** Seconds since the beginning, for an axis: "5 s", or "1:30" where there are minutes. */
export function since(seconds, step = 1) {
  if (step < 60 && Math.abs(seconds) < 60) return `${Number(seconds.toFixed(3))}${THIN}s`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/** A number with as many decimals as a step of that size needs, at most six digits before it turns to powers. */
export function numeral(value, step) {
  if (value !== 0 && (Math.abs(value) >= 1e9 || Math.abs(value) < 1e-4)) return value.toExponential(1);
  const decimals = Math.min(6, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
  // Adding nothing turns -0 into 0.
  return DECIMALS[decimals].format(value + 0);
}

const UNITS = new Map([
  ["percent", "%"], ["pct", "%"], ["mb", "MB"], ["gb", "GB"], ["bytes", "B"], ["s", "s"], ["ms", "ms"], ["hz", "Hz"],
  ["n", "N"], ["c", "°C"], ["celsius", "°C"], ["f", "°F"], ["m", "m"], ["mm", "mm"], ["v", "V"], ["a", "A"], ["w", "W"], ["pa", "Pa"],
]);

const LARGER = { B: ["kB", 1e3], kB: ["MB", 1e3], MB: ["GB", 1e3], GB: ["TB", 1e3], s: ["h", 3600] };

/** The unit in which a number of that size is read easily, and what its values are multiplied by: 58,405 MB are 58.4 GB. */
export function scaled(unit, most) {
  let factor = 1;
  while (unit in LARGER && most * factor >= (unit === "s" ? 7200 : 1000)) {
    const [larger, times] = LARGER[unit];
    factor /= times;
    unit = larger;
  }
  return { factor, unit };
}

/** What a key such as cpu_percent says: its name and, where its last word is one, its unit. */
export function named(key) {
  if (key.endsWith("_m_s")) return { name: key.slice(0, -4).replaceAll("_", " "), unit: "m/s" };
  const words = key.split("_");
  const unit = words.length > 1 ? UNITS.get(words.at(-1).toLowerCase()) : undefined;
  return { name: (unit ? words.slice(0, -1) : words).join(" "), unit: unit ?? "" };
}

// The page: asks for news once a second, keeps what it has been told, and shows it.

import { Chart, lastBefore } from "/chart.js";
import { Images } from "/images.js";
import { Readings } from "/readings.js";
import { Files, Sources } from "/tables.js";
import { count, lasting, size } from "/words.js";

const EVERY_MS = 1000;
const AFTERWARDS_MS = 5000;
const $ = (id) => document.getElementById(id);

const readings = new Readings();
const images = new Images();
const files = new Files();
const sources = new Sources();
const known = { run: null, arrivals: 0, again: 0, bytes: 0, samples: [], delivered: { times: [], totals: [] } };

const readout = document.createElement("p");
readout.className = "readout";
const timeline = new Chart($("timeline"), { height: 260, label: "Captured and delivered over time", zero: true, tell: tellTimeline });
$("timeline").after(readout);

function take(news) {
  for (const arrival of news.arrivals) {
    known.bytes += arrival.size;
    const totals = known.delivered.totals;
    known.delivered.times.push(arrival.arrived);
    // What came twice, as its first answer was lost, was delivered once.
    totals.push((totals.at(-1) ?? 0) + arrival.items - arrival.again);
    known.again += arrival.again;
    sources.add(arrival);
    if (arrival.kind === "rows") readings.add(arrival);
    else if (arrival.kind === "image" && arrival.kept) images.add(arrival);
    else files.add(arrival);
  }
  known.arrivals += news.arrivals.length;
  known.samples.push(...news.samples);
}

function show(news) {
  const began = news.began ?? news.now;
  const end = news.ended ?? news.now;
  const last = known.samples.at(-1);
  const delivered = known.delivered.totals.at(-1) ?? 0;
  const captured = news.ended ? (last?.[1] ?? 0) : Math.max(last?.[1] ?? 0, delivered);
  const spans = news.absences.map(([from, until]) => [from - began, (until ?? end) - began]);
  const away = spans.reduce((sum, [from, to]) => sum + to - from, 0);
  const to = Math.max(10, end - began, (known.delivered.times.at(-1) ?? 0) - began);

  $("captured").textContent = count(captured);
  $("captured-more").textContent = `in ${lasting(Math.max(0, end - began))}`;
  $("delivered").textContent = count(delivered);
  $("delivered-more").textContent = `${size(known.bytes)} in ${count(known.arrivals)} uploads${known.again ? `, ${count(known.again)} twice` : ""}`;
  $("waiting").textContent = count(last?.[2] ?? 0);
  const most = known.samples.reduce((sofar, one) => Math.max(sofar, one[2]), 0);
  $("waiting-more").textContent = most ? `${size(last[3])}, peak ${count(most)}` : "nothing so far";
  $("away").textContent = lasting(away).replace(/^0\u202fms$/, "0\u202fs");
  const gone = spans.length > 0 && news.absences.at(-1)[1] === null;
  const kept = news.ended && !news.faults.length ? "nothing was lost" : "captures went on";
  $("away-more").textContent = gone ? "captures go on" : spans.length ? kept : "not so far";

  showState(news);
  showTimeline(news, { began, to, spans });
  sources.show(news.captured, Boolean(news.ended));
  readings.show({ began, to, absences: spans });
  images.show();
  files.show();
}

function showState(news) {
  const gone = news.absences.at(-1);
  if (news.ended) {
    if (news.faults.length) tellState("bad", `ended: ${news.faults[0]}`);
    else tellState("good", "ended: all that was captured was delivered");
  } else if (gone && gone[1] === null) tellState("bad", `the cloud has been away for ${lasting(news.now - gone[0])}`);
  else if (news.began === null) tellState("quiet", "starting");
  else tellState("live", `running for ${lasting(news.now - news.began)}`);
}

function tellState(tone, text) {
  $("state").dataset.tone = tone;
  $("state").textContent = text;
}

function showTimeline(news, { began, to, spans }) {
  const captured = { times: [0], values: [0] };
  for (const [at, taken] of known.samples) {
    captured.times.push(at - began);
    captured.values.push(taken);
  }
  const delivered = { times: [0], values: [0] };
  known.delivered.times.forEach((at, index) => {
    delivered.times.push(at - began);
    delivered.values.push(known.delivered.totals[index]);
  });
  const [edge, total] = [captured.times.at(-1), delivered.values.at(-1)];
  if (delivered.times.at(-1) < edge) {
    delivered.times.push(edge);
    delivered.values.push(total);
  }
  // Between two arrivals nothing is delivered: steps, not slopes.
  const steps = { times: [], values: [] };
  delivered.times.forEach((at, index) => {
    if (index) {
      steps.times.push(at);
      steps.values.push(delivered.values[index - 1]);
    }
    steps.times.push(at);
    steps.values.push(delivered.values[index]);
  });
  const at = (time) => delivered.values[Math.max(0, lastBefore(delivered.times, time))];
  const area = { times: [], values: [], floor: [] };
  const moments = [...new Set([...captured.times, ...steps.times])].filter((time) => time >= 0 && time <= edge).sort((a, b) => a - b);
  for (const time of moments) {
    const index = lastBefore(captured.times, time);
    const [t0, t1] = [captured.times[index], captured.times[index + 1] ?? time];
    const [v0, v1] = [captured.values[index], captured.values[index + 1] ?? captured.values[index]];
    const taken = t1 > t0 ? v0 + ((v1 - v0) * (time - t0)) / (t1 - t0) : v0;
    area.times.push(time);
    area.values.push(Math.max(taken, at(time)));
    area.floor.push(at(time));
  }
  known.timeline = { captured, delivered, notes: news.notes.map(([when, text]) => [when - began, text]), to };
  timeline.show({
    series: [
      { kind: "area", name: "between", ...area },
      { kind: "line", name: "captured", ...captured },
      { kind: "line", name: "delivered", ...steps },
    ],
    from: 0,
    to,
    spans: spans.map(([from, until]) => [from, until, `cloud away ${lasting(until - from)}`]),
    marks: known.timeline.notes,
  });
}

function tellTimeline(time) {
  if (!known.timeline) return;
  const { captured, delivered, notes, to } = known.timeline;
  if (time === null) {
    readout.textContent = "Items over seconds since the beginning. Dotted lines: commands. Point at the chart for numbers.";
    return;
  }
  const taken = captured.values[Math.max(0, lastBefore(captured.times, time))];
  const there = delivered.values[Math.max(0, lastBefore(delivered.times, time))];
  const note = notes.find(([when]) => Math.abs(when - time) < to / 120);
  readout.textContent = `${time.toFixed(1)} s: captured ${count(taken)}, delivered ${count(there)}${note ? ` · ${note[1]}` : ""}`;
}

/** All news since the last time; null where nobody answers. */
async function heard() {
  try {
    const answer = await fetch(`/news?after=${known.arrivals}&sampled=${known.samples.length}`);
    return answer.ok ? await answer.json() : null;
  } catch {
    return null;
  }
}

async function ask() {
  const news = await heard();
  if (!news) tellState("quiet", "the demo is not running any more; this is what was last known");
  // Another demo on the same port: what is shown here belongs to the one before.
  else if (known.run !== null && known.run !== news.run) location.reload();
  else {
    known.run = news.run;
    take(news);
    if (news.more) return ask();
    show(news);
  }
  setTimeout(ask, news && !news.ended ? EVERY_MS : AFTERWARDS_MS);
}

// A browser may be set to keep nothing, and then says so with an exception.
function remembered() {
  try {
    return localStorage.getItem("theme");
  } catch {
    return null;
  }
}

function remember(chosen) {
  try {
    localStorage.setItem("theme", chosen);
  } catch {
    // It holds until the page is loaded again.
  }
}

function theme() {
  const apply = (chosen) => {
    if (chosen === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = chosen;
  };
  const buttons = [...document.querySelectorAll("#theme input")];
  const kept = remembered() ?? "auto";
  for (const button of buttons) {
    button.checked = button.value === kept;
    button.addEventListener("change", () => {
      remember(button.value);
      apply(button.value);
    });
  }
  apply(kept);
}

theme();
ask();

// The page: asks for news again and again, keeps what it got, and shows it.

import { Clouds } from "/clouds.js";
import { Files } from "/files.js";
import { Filmstrips } from "/filmstrip.js";
import { Images } from "/images.js";
import { Readings } from "/readings.js";
import { savePage } from "/save.js";
import { Sources } from "/sources.js";
import { Timeline } from "/timeline.js";
import { count, lasting, size } from "/words.js";

const SOONEST_MS = 1000;
const LATEST_MS = 3000;
const AFTERWARDS_MS = 5000;
const $ = (id) => document.getElementById(id);

const timeline = new Timeline();
const readings = new Readings();
const images = new Images();
const filmstrips = new Filmstrips(images);
const clouds = new Clouds();
const files = new Files();
const sources = new Sources();
const known = { run: null, arrivals: 0, samples: 0, again: 0, bytes: 0, lastArrival: 0 };

function take(news) {
  for (const arrival of news.arrivals) {
    known.bytes += arrival.size;
    known.again += arrival.again;
    known.lastArrival = arrival.arrived;
    timeline.add(arrival);
    sources.add(arrival);
    if (arrival.kind === "rows") readings.add(arrival);
    else if (arrival.kind === "image" && arrival.kept) {
      images.add(arrival);
      if (gated(news, arrival.source)) filmstrips.add(arrival);
    } else if (arrival.kind === "point cloud" && arrival.kept) clouds.add(arrival);
    else files.add(arrival);
  }
  known.arrivals += news.arrivals.length;
  known.samples += news.samples.length;
  for (const sample of news.samples) timeline.sample(sample);
}

const gated = (news, name) => news.sources.some((source) => source.gate && (source.id ?? source.name) === name);

function show(news) {
  const began = news.began ?? news.now;
  const end = news.ended ?? news.now;
  const { captured: reported, waiting, bytes } = timeline.last;
  const delivered = timeline.totals[0];
  const captured = news.ended ? reported : Math.max(reported, delivered);
  const spans = news.absences.map(([from, until]) => [from - began, (until ?? end) - began]);
  const away = spans.reduce((sum, [from, to]) => sum + to - from, 0);
  const to = Math.max(10, end - began, known.lastArrival - began);

  $("captured").textContent = count(captured);
  $("captured-more").textContent = `in ${lasting(Math.max(0, end - began))}`;
  $("delivered").textContent = count(delivered);
  $("delivered-more").textContent = `${size(known.bytes)} in ${count(known.arrivals)} uploads${known.again ? `, ${count(known.again)} twice` : ""}`;
  $("waiting").textContent = count(waiting);
  $("waiting-more").textContent = timeline.peak ? `${size(bytes)}, peak ${count(timeline.peak)}` : "nothing so far";
  $("away").textContent = lasting(away).replace(/^0\u202fms$/, "0\u202fs");
  const gone = spans.length > 0 && news.absences.at(-1)[1] === null;
  const kept = news.ended && !news.faults.length ? "nothing was lost" : "captures went on";
  $("away-more").textContent = gone ? "captures go on" : spans.length ? kept : "not so far";

  showState(news);
  const notes = news.notes.map(([when, text]) => [when - began, text]);
  timeline.show({ began, to, spans, notes, sources: news.sources });
  filmstrips.show({ sources: news.sources, openings: news.openings, began });
  sources.show(news.captured, news.sources, Boolean(news.ended));
  readings.show({ began, to, absences: spans, sources: news.sources });
  images.show();
  clouds.show();
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

/** All news since the last time; null where nobody answers. */
async function heard() {
  try {
    const answer = await fetch(`/news?after=${known.arrivals}&sampled=${known.samples}`);
    return answer.ok ? await answer.json() : null;
  } catch {
    return null;
  }
}

/** How long to wait until the next question: in a long run, a second moves nothing by a pixel. */
const pause = (seconds) => Math.min(LATEST_MS, Math.max(SOONEST_MS, (1000 * seconds) / 300));

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
  setTimeout(ask, news && !news.ended ? pause(news.now - (news.began ?? news.now)) : AFTERWARDS_MS);
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

$("save").addEventListener("click", async () => {
  $("save").disabled = true;
  await savePage().finally(() => ($("save").disabled = false));
});
theme();
ask();

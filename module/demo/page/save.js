// The page as one HTML file: with its styles, its pictures and its point cloud in it, without scripts.

import { drawAll } from "/chart.js";
import { clock } from "/words.js";

const STYLES = ["/page.css", "/charts.css", "/pictures.css"];
const POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

/** Have the browser save what the page shows now. */
export async function savePage() {
  const html = await whole();
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([html], { type: "text/html" }));
  link.download = `capture-courier-${new Date().toISOString().slice(0, 19).replaceAll(":", "-")}.html`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

/** The whole page as text. */
export async function whole() {
  drawAll();
  // In a document that nobody shows, where pictures are not loaded.
  const copy = document.implementation.createHTMLDocument().importNode(document.documentElement, true);
  const [shown, copied] = [document, copy].map((page) => [...page.querySelectorAll("img")]);
  await Promise.all(shown.map((image, at) => embed(image, copied[at])));
  const canvases = [...document.querySelectorAll("canvas")];
  [...copy.querySelectorAll("canvas")].forEach((canvas, at) => canvas.replaceWith(asImage(canvases[at])));
  // What only works with scripts or with the demo beside it.
  for (const one of copy.querySelectorAll("script, dialog, noscript, link, .live, .theme, .chips, .again, td a[download]")) one.remove();
  for (const one of copy.querySelectorAll("[tabindex]")) one.removeAttribute("tabindex");
  for (const button of copy.querySelectorAll("main button")) button.disabled = true;
  const head = copy.querySelector("head");
  const policy = document.createElement("meta");
  policy.httpEquiv = "Content-Security-Policy";
  policy.content = POLICY;
  const style = document.createElement("style");
  style.textContent = (await Promise.all(STYLES.map(async (path) => (await fetch(path)).text()))).join("\n");
  head.querySelector("meta[charset]").after(policy);
  head.append(style);
  copy.querySelector(".brand p").textContent = `Saved ${new Date().toLocaleDateString("en-CA")} ${clock(Date.now() / 1000)}`;
  return `<!doctype html>\n${copy.outerHTML}`;
}

async function embed(image, copied) {
  const source = image.getAttribute("src");
  copied.loading = "eager";
  if (!source) return;
  try {
    const answer = await fetch(source);
    if (!answer.ok) throw new Error("gone");
    copied.setAttribute("src", await asData(await answer.blob()));
  } catch {
    copied.removeAttribute("src");
  }
}

const asData = (blob) =>
  new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = reject;
    reader.readAsDataURL(blob);
  });

function asImage(canvas) {
  const image = document.createElement("img");
  image.className = canvas.className;
  image.alt = canvas.getAttribute("aria-label");
  image.src = canvas.width ? canvas.toDataURL("image/png") : "";
  return image;
}

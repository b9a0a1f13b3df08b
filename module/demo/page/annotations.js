// The boxes that an image carries, drawn over it.

import { shape } from "/chart.js";

/**
 * Boxes over `picture`, an img that the returned SVG lies upon with the same size. `fit`: "slice" where the picture is
 * cut to its frame (object-fit: cover), "meet" where all of it is shown. `letters`: labels too, so many to its height.
 */
export function boxesOver(picture, boxes, { fit, letters = 0 }) {
  const over = shape("svg", { class: "boxes", "aria-hidden": "true", preserveAspectRatio: `xMidYMid ${fit}` });
  const draw = () => {
    const [width, height] = [picture.naturalWidth, picture.naturalHeight];
    if (!width) return;
    over.setAttribute("viewBox", `0 0 ${width} ${height}`);
    over.replaceChildren(...boxes.flatMap((box) => drawn(box, width, height, letters)));
  };
  picture.addEventListener("load", draw);
  draw();
  return over;
}

function drawn([label, confidence, left, top, right, bottom], width, height, letters) {
  const [x, y] = [left * width, top * height];
  const parts = [shape("rect", { x, y, width: (right - left) * width, height: (bottom - top) * height })];
  if (!letters) return parts;
  const size = height / letters;
  const text = words([label, confidence]);
  const above = y > 1.5 * size ? y - 1.4 * size : y;
  parts.push(shape("rect", { class: "plate", x, y: above, width: size * (0.62 * text.length + 1), height: 1.4 * size }));
  parts.push(shape("text", { x: x + 0.3 * size, y: above + 1.05 * size, "font-size": size }, text));
  return parts;
}

/** "valve 92 %". */
export const words = ([label, confidence]) => (confidence ? `${label} ${Math.round(100 * confidence)} %` : label);

/** What is in an image, for a text beside it; empty where it carries no boxes. */
export const seen = (image) => (image.boxes ?? []).map(words).join(", ");

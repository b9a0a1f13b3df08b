// Reads a PCD file (the format of the Point Cloud Library): x, y and z of each point, and its colour if it has one.

const READ = { F4: "getFloat32", F8: "getFloat64", I1: "getInt8", I2: "getInt16", I4: "getInt32", U1: "getUint8", U2: "getUint16", U4: "getUint32" };

/** `{count, places, colours}`: x, y and z of each point, and 0xRRGGBB of each or null. Raises Error with what is wrong. */
export function parsePcd(buffer) {
  const bytes = new Uint8Array(buffer);
  const { fields, points, data, start } = header(bytes);
  for (const name of "xyz") if (!fields.has(name)) throw new Error(`this PCD has no field ${name}`);
  if (data === "binary") return binary(new DataView(buffer, start), fields, points);
  if (data === "ascii") return ascii(bytes.subarray(start), fields, points);
  throw new Error(`this PCD's data is ${data || "missing"}; binary and ascii can be shown`);
}

function header(bytes) {
  const lines = new Map();
  let start = 0;
  while (!lines.has("DATA")) {
    const end = bytes.indexOf(10, start);
    if (end < 0 || end - start > 4096 || lines.size > 40) throw new Error("this is no PCD: it has no line DATA");
    const [key, ...rest] = new TextDecoder().decode(bytes.subarray(start, end)).trim().split(/\s+/);
    if (key && !key.startsWith("#")) lines.set(key, rest);
    start = end + 1;
  }
  const names = lines.get("FIELDS") ?? [];
  const fields = new Map();
  let [offset, column] = [0, 0];
  names.forEach((name, at) => {
    const size = Number(lines.get("SIZE")?.[at] ?? 4);
    const times = Number(lines.get("COUNT")?.[at] ?? 1);
    const type = lines.get("TYPE")?.[at] ?? "F";
    fields.set(name, { offset, column, type, read: READ[type + size] });
    offset += size * times;
    column += times;
  });
  fields.stride = offset;
  const points = Number(lines.get("POINTS")?.[0] ?? Number(lines.get("WIDTH")?.[0]) * Number(lines.get("HEIGHT")?.[0] ?? 1));
  if (!Number.isSafeInteger(points) || points < 0) throw new Error("this PCD does not say how many points it has");
  return { fields, points, data: lines.get("DATA")[0], start };
}

const ofColour = (fields) => fields.get("rgb") ?? fields.get("rgba");

function binary(view, fields, points) {
  // A file that breaks off is shown as far as it goes.
  const count = Math.min(points, Math.floor(view.byteLength / fields.stride));
  const places = new Float32Array(3 * count);
  const colour = ofColour(fields);
  const colours = colour ? new Uint32Array(count) : null;
  const axes = [..."xyz"].map((name) => fields.get(name));
  if (axes.some((axis) => !axis.read)) throw new Error("this PCD's x, y and z are of a type that cannot be read");
  axes.forEach(({ read, offset: first }, axis) => {
    for (let at = 0, offset = first; at < count; at += 1, offset += fields.stride) places[3 * at + axis] = view[read](offset, true);
  });
  for (let at = 0, offset = colour?.offset; colour && at < count; at += 1, offset += fields.stride) {
    colours[at] = view.getUint32(offset, true) & 0xffffff;
  }
  return { count, places, colours };
}

function ascii(bytes, fields, points) {
  const lines = new TextDecoder().decode(bytes).split("\n");
  const places = new Float32Array(3 * Math.min(points, lines.length));
  const colour = ofColour(fields);
  const colours = colour ? new Uint32Array(places.length / 3) : null;
  const axes = [..."xyz"].map((name) => fields.get(name).column);
  // A colour of type F is the four bytes of the colour, written as if they were a number.
  const float = new Float32Array(1);
  const same = new Uint32Array(float.buffer);
  let count = 0;
  for (const line of lines) {
    const words = line.trim().split(/\s+/);
    if (words.length < 3 || count === places.length / 3) continue;
    axes.forEach((column, axis) => (places[3 * count + axis] = Number(words[column])));
    if (colour) {
      float[0] = Number(words[colour.column]);
      colours[count] = (colour.type === "F" ? same[0] : Number(words[colour.column])) & 0xffffff;
    }
    count += 1;
  }
  return { count, places: places.subarray(0, 3 * count), colours };
}

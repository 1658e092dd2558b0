// Pictures and graphs for the test of the card “your own picture”, made anew by every run.
import { crc32, deflateSync } from 'node:zlib';

export const KINDS = ['disc', 'ring ○', 'stripes']; // a label with a sign that is not ASCII

/** shape is a PNG of that kind, in colour (3) or grey (1): bright on dark, in a colour and a place of its own. */
export function shape(kind, width, height, seed, channels = 3) {
  const random = generator(seed);
  const ink = [0, 1, 2].map(() => 120 + 135 * random());
  const paper = [0, 1, 2].map(() => 70 * random());
  const [x0, y0] = [width, height].map((side) => side * (0.4 + 0.2 * random()));
  const radius = Math.min(width, height) * (0.25 + 0.15 * random());
  const tilt = Math.PI * random();
  const inside = {
    disc: (x, y) => Math.hypot(x - x0, y - y0) < radius,
    'ring ○': (x, y) => Math.abs(Math.hypot(x - x0, y - y0) - radius) < radius / 4,
    stripes: (x, y) => Math.sin((6 / radius) * (x * Math.cos(tilt) + y * Math.sin(tilt))) > 0.3,
  }[kind];
  return png(width, height, channels, (x, y) => (inside(x, y) ? ink : paper).slice(0, channels).map((v) => v + 20 * (random() - 0.5)));
}

/** png encodes a picture of 1 (grey), 3 (RGB) or 4 (RGBA) channels; at gives a pixel's. */
export function png(width, height, channels, at) {
  const rows = Buffer.alloc(height * (1 + channels * width));
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      at(x, y).forEach((v, c) => { rows[y * (1 + channels * width) + 1 + channels * x + c] = Math.max(0, Math.min(255, Math.round(v))); });
    }
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, { 1: 0, 3: 2, 4: 6 }[channels], 0, 0, 0], 8);
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), chunk('IHDR', header), chunk('IDAT', deflateSync(rows)), chunk('IEND', Buffer.alloc(0))]);
}

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type), data]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
}

/** turned adds to a JPEG the note of a camera that was held on its side: EXIF's orientation, 1 to 8. */
export function turned(jpeg, orientation) {
  const exif = Buffer.from('ffe100224578696600004d4d002a000000080001011200030000000100000000000000000000', 'hex');
  exif.writeUInt16BE(exif.length - 2, 2);
  exif[29] = orientation;
  return Buffer.concat([jpeg.subarray(0, 2), exif, jpeg.subarray(2)]);
}

/** network is a run's network: small, for pictures of C×H×W, and not sure of its answers after an epoch or two. */
export function network(name, input, classes) {
  const pair = (side) => ({ height: side, width: side });
  return { name, input, layers: [
    { kind: 'Conv2D', layer: { name: 'conv', filters: 6, kernel: pair(5), stride: pair(1), padding: pair(0) } },
    { kind: 'ReLU', layer: { name: 'relu' } },
    { kind: 'MaxPool2D', layer: { name: 'pool', kernel: pair(4), stride: pair(4), padding: pair(0) } },
    { kind: 'Flatten', layer: { name: 'flatten' } },
    { kind: 'Dense', layer: { name: 'dense', units: classes } },
  ] };
}

/** identity is an ONNX graph that gives back the first of its inputs, each [name, dims]. */
export function identity(inputs) {
  const value = ([name, dims]) => [field(1, name), field(2, field(1, number(1, 1), field(2, ...dims.map((dim) => field(1, number(1, dim))))))];
  const [first] = inputs;
  return field.join(number(1, 8), field(7,
    field(1, field(1, first[0]), field(2, 'scores'), field(4, 'Identity')), field(2, 'graph'),
    ...inputs.map((input) => field(11, ...value(input))), field(12, ...value(['scores', first[1]]))),
  field(8, number(2, 13)));
}

// field is one of a protocol buffer's that holds a text or other fields.
function field(tag, ...parts) {
  const body = field.join(...parts);
  return Buffer.concat([varint(8 * tag + 2), varint(body.length), body]);
}
field.join = (...parts) => Buffer.concat(parts.map((part) => Buffer.from(part)));

function number(tag, value) {
  return Buffer.concat([varint(8 * tag), varint(value)]);
}

function varint(value) {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push(128 + (value % 128));
  return Buffer.from([...bytes, value]);
}

// generator is mulberry32: the same numbers in 0…1 for the same seed.
function generator(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

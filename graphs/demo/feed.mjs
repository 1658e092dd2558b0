// How a picture's bytes become a graph's input, by the formulas of packages dataset and infer.

import { shapeText } from './graph.mjs';

/** A pixel rule is one {scale, offset} for all channels, or one for each: x·scale + offset of a byte x. */
export const RULES = {
  '0-255': [{ scale: 1, offset: 0 }],
  '0-1': [{ scale: 1 / 255, offset: 0 }],
  '-1-1': [{ scale: 2 / 255, offset: -1 }],
};

/** @returns {number} the channels that an input takes: 1, 3, or 0 where it does not say */
export function channelsOf(dims) {
  if (dims.length === 3) return 1;
  if (dims.length !== 4) return 0;
  return [dims[1], dims[3]].find((size) => size === 1 || size === 3) ?? 0;
}

/** @returns {{height: number, width: number} | null} the size that an input takes, null where it leaves it open */
export function sizeOf(dims) {
  let [height, width] = dims.slice(-2);
  if (dims.length === 4 && ![1, 3].includes(dims[1]) && [1, 3].includes(dims[3])) [height, width] = dims.slice(1, 3);
  if (dims.length < 3 || height === null || width === null) return null;
  return { height, width };
}

/** sizingText is a sizing as picture.ParseSizing reads it. */
export function sizingText({ height, width }, fit, filter) {
  return `resize ${height}×${width} ${fit} ${filter}`;
}

/**
 * inputOf makes the tensor's values and shape of a picture. A graph of a fixed batch gets the picture as often as that.
 * @param {{channels: number, height: number, width: number, pixels: Uint8Array}} picture C×H×W
 * @param {{name: string, type: string, dims: (number | null)[]}} input
 * @param {{scale: number, offset: number}[]} rule
 * @returns {{values: Float32Array | Float64Array | Uint8Array, shape: number[]}}
 */
export function inputOf(picture, input, rule) {
  const { channels, height, width, pixels } = picture;
  if (rule.length !== 1 && rule.length !== channels) {
    throw new Error(`the graph's record has a pixel rule for each of ${rule.length} channels, the input has ${channels}`);
  }
  const [batch, ...dims] = input.dims;
  const order = orderFor(dims, picture);
  if (!order) {
    throw new Error(`wrong shape: the graph's input “${input.name}” is ${shapeText(input.dims)}, the picture ${channels}×${height}×${width} (C×H×W)`);
  }
  const copies = batch ?? 1;
  const tables = rule.map((channel) => tableOf(channel, input.type, rule.length > 1));
  const values = new (arrayOf(input.type))(copies * pixels.length);
  const area = height * width;
  for (let channel = 0; channel < channels; channel++) {
    const table = tables[channel % tables.length];
    for (let i = 0; i < area; i++) values[order.channelsLast ? i * channels + channel : channel * area + i] = table[pixels[channel * area + i]];
  }
  for (let copy = 1; copy < copies; copy++) values.copyWithin(copy * pixels.length, 0, pixels.length);
  return { values, shape: [copies, ...order.shape] };
}

// orderFor is how a picture goes into the input, null where it does not fit.
function orderFor(dims, { channels, height, width }) {
  const first = { shape: [channels, height, width], channelsLast: false };
  const orders = {
    3: [first, { shape: [height, width, channels], channelsLast: true }],
    2: channels === 1 ? [{ shape: [height, width], channelsLast: false }] : [],
    1: [{ shape: [channels * height * width], channelsLast: false }],
  }[dims.length];
  return orders.find(({ shape }) => shape.every((size, i) => dims[i] === null || dims[i] === size)) ?? null;
}

function arrayOf(type) {
  return { float32: Float32Array, float64: Float64Array, uint8: Uint8Array }[type];
}

// tableOf has the number that each byte is fed as: rounded to float32 step by step, as dataset.Pixels is. Each of several
// channels has a mean and a deviation there, whatever they are.
function tableOf({ scale, offset }, type, isOfSeveral) {
  const f = Math.fround;
  let convert = (x) => x;
  if (scale === 1 / 255 && offset === 0) {
    convert = (x) => f(x / 255);
  } else if (isOfSeveral || scale !== 1 || offset !== 0) {
    // x·scale + offset = (x/255 − mean)/std
    const std = 1 / (255 * scale);
    const [m, s] = [f(-offset * std), f(std)];
    if (!(s > 0)) throw new Error(`the graph's record scales pixels by ${scale}; a scale above 0 is wanted`);
    convert = (x) => f(f(f(x / 255) - m) / s);
  }
  const table = Float64Array.from({ length: 256 }, (_, x) => convert(x));
  if (type === 'uint8' && table.some((value, x) => value !== x)) {
    throw new Error('the graph takes bytes, which are fed as they are: choose the pixels 0 to 255');
  }
  return table;
}

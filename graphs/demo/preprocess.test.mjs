// node --test graphs/demo
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { SIDE, toPicture } from './preprocess.mjs';

const PIXELS = SIDE * SIDE;

// filled returns ink of width×height with a full rectangle in it.
function filled(width, height, left, top, right, bottom) {
  const ink = new Uint8Array(width * height);
  for (let y = top; y < bottom; y++) ink.fill(255, y * width + left, y * width + right);
  return ink;
}

// inkOf lists where a picture has ink: the rectangle around it, its mass and its centre of mass.
function inkOf(picture) {
  const at = [...picture.keys()].filter((i) => picture[i] > 0);
  const [xs, ys] = [at.map((i) => i % SIDE), at.map((i) => Math.floor(i / SIDE))];
  const mass = at.reduce((sum, i) => sum + picture[i], 0);
  const mean = (places) => at.reduce((sum, i, n) => sum + picture[i] * places[n], 0) / mass;
  return { left: Math.min(...xs), right: Math.max(...xs) + 1, top: Math.min(...ys), bottom: Math.max(...ys) + 1, mass, x: mean(xs), y: mean(ys) };
}

test("MNIST's own images, enlarged and moved, come back as they were", () => {
  const images = gunzipSync(readFileSync(new URL('../../dataset/t10k/t10k-images-idx3-ubyte.gz', import.meta.url))).subarray(16);
  const [factor, width, height, x0, y0] = [4, 130, 140, 11, 23];
  let [same, tried] = [0, 0];
  for (let start = 0; start < images.length; start += 10 * PIXELS) {
    const image = images.subarray(start, start + PIXELS);
    const { left: l, right: r, top: t, bottom: b } = inkOf(image);
    if (Math.max(r - l, b - t) !== 20) continue; // three of the 10,000
    const ink = new Uint8Array(width * height);
    for (let y = 0; y < SIDE * factor; y++) {
      for (let x = 0; x < SIDE * factor; x++) {
        ink[(y0 + y) * width + x0 + x] = image[Math.floor(y / factor) * SIDE + Math.floor(x / factor)];
      }
    }
    tried++;
    if (Buffer.compare(toPicture(ink, width, height), image) === 0) same++;
  }
  assert.ok(tried >= 997, `${tried} images were tried`);
  // One of the 10,000 has its centre of mass halfway between two pixels and comes back a pixel off.
  assert.ok(same >= tried - 1, `${same} of ${tried} are the same`);
});

test('a full square fills the box of 20×20, as near to the centre as whole pixels allow', () => {
  const seen = inkOf(toPicture(filled(280, 280, 30, 90, 150, 210), 280, 280));
  assert.deepEqual(seen, { left: 5, right: 25, top: 5, bottom: 25, mass: 400 * 255, x: 14.5, y: 14.5 });
});

test('the aspect ratio stays, and a thin line keeps its grey mass', () => {
  // 10 wide and 200 tall: 1 by 20. 15 wide: 1.5, in the middle of two columns of 3/4.
  assert.equal(inkOf(toPicture(filled(280, 280, 40, 40, 50, 240), 280, 280)).mass, 20 * 255);
  const seen = inkOf(toPicture(filled(280, 280, 40, 40, 55, 240), 280, 280));
  assert.equal(seen.right - seen.left, 2);
  assert.equal(seen.mass, 20 * 2 * Math.round(0.75 * 255));
  // A line too thin for its box is a column of less than full ink, not nothing.
  assert.equal(inkOf(toPicture(filled(280, 280, 40, 40, 44, 240), 280, 280)).mass, 20 * Math.round(0.4 * 255));
});

test('the centre of mass lies at pixel 14, to half a pixel, wherever the ink was', () => {
  // An L: most of its mass is at the lower left.
  for (const [x, y] of [[0, 0], [100, 50], [150, 90]]) {
    const ink = filled(280, 280, x, y, x + 30, y + 180);
    filled(280, 280, x, y + 150, x + 120, y + 180).forEach((value, i) => { ink[i] ||= value; });
    const seen = inkOf(toPicture(ink, 280, 280));
    assert.ok(Math.abs(seen.x - 14) <= 0.5 && Math.abs(seen.y - 14) <= 0.5, `${seen.x}, ${seen.y}`);
  }
});

test('a dot becomes a picture within 28×28, no ink none, a wrong size an error', () => {
  const seen = inkOf(toPicture(filled(280, 280, 279, 0, 280, 1), 280, 280));
  assert.equal(seen.mass, 400 * 255);
  assert.equal(toPicture(new Uint8Array(100), 10, 10), null);
  assert.throws(() => toPicture(new Uint8Array(99), 10, 10), RangeError);
});

// node --test graphs/demo
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { channelsOf, inputOf, sizeOf, sizingText } from './feed.mjs';
import { readRecord } from './record.mjs';

// numbers is what the bytes are fed as, of a graph whose metadata has that rule.
function numbers(scale, offset, pixels, channels = 1, type = 'float32') {
  const { rule } = readRecord(new Map([['slipway.record', '1'], ['slipway.pixel_scale', scale], ['slipway.pixel_offset', offset]]));
  const picture = { channels, height: 1, width: pixels.length / channels, pixels: Uint8Array.from(pixels) };
  return [...inputOf(picture, { name: 'x', type, dims: [null, channels, null, null] }, rule).values];
}

test('bytes become the numbers that infer makes of them, bit for bit', () => {
  // The numbers are what dataset.Pixels gives for the same record.
  assert.deepEqual(numbers('1', '0', [0, 77, 255]), [0, 77, 255]);
  assert.deepEqual(numbers('0.00392156862745098', '0', [1, 77]), [0.003921568859368563, 0.3019607961177826]);
  assert.deepEqual(numbers('0.012728233130318015', '-0.42421291788380394', [0, 1, 77, 255]),
    [-0.4242129623889923, -0.4114847183227539, 0.5558610558509827, 2.821486711502075]);
  const [scales, offsets] = ['0.017124753831663668,0.01750700280112045,0.017429193899782137', '-2.1179039301310043,-2.0357142857142856,-1.8044444444444445'];
  assert.deepEqual(numbers(scales, offsets, [0, 77, 255, 0, 77, 255, 0, 77, 255], 3),
    [-2.1179039478302, -0.7992978692054749, 2.248908281326294, -2.0357141494750977, -0.6876749992370605, 2.4285714626312256,
      -1.804444432258606, -0.46239641308784485, 2.640000104904175]);
});

test('a pixel rule that is none, or not for the channels, is refused', () => {
  for (const [scale, offset] of [['wide', '0'], ['1,2', '0'], ['1', '0,0,0'], ['0', '1'], ['1,', '0,0'], ['1,1,0', '0,0,0'], ['Infinity', '0']]) {
    assert.throws(() => numbers(scale, offset, [0]), /pixel/, `${scale} and ${offset}`);
  }
  assert.throws(() => numbers('1,1', '0,0', [0, 0, 0], 3), /2 channels, the input has 3/);
  assert.throws(() => numbers('-1', '0', [0]), /above 0/);
  assert.throws(() => numbers('0.5', '0', [0], 1, 'uint8'), /takes bytes/);
});

test('a picture goes into the input in the order of its axes', () => {
  const picture = { channels: 3, height: 1, width: 2, pixels: Uint8Array.of(1, 2, 3, 4, 5, 6) };
  const rule = [{ scale: 1, offset: 0 }];
  const input = (dims, type = 'float32') => ({ name: 'x', type, dims });
  assert.deepEqual(inputOf(picture, input([null, 3, 1, 2]), rule), { values: Float32Array.of(1, 2, 3, 4, 5, 6), shape: [1, 3, 1, 2] });
  assert.deepEqual(inputOf(picture, input([null, 1, 2, 3], 'uint8'), rule), { values: Uint8Array.of(1, 3, 5, 2, 4, 6), shape: [1, 1, 2, 3] });
  assert.deepEqual(inputOf(picture, input([2, 6], 'float64'), rule), { values: Float64Array.of(1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6), shape: [2, 6] });
  assert.deepEqual(inputOf({ channels: 1, height: 2, width: 1, pixels: Uint8Array.of(8, 9) }, input([null, null, 1]), rule), { values: Float32Array.of(8, 9), shape: [1, 2, 1] });
  for (const dims of [[null, 3, 2, 1], [null, 1, 1, 2], [null, 7], [null, 1, 2]]) {
    assert.throws(() => inputOf(picture, input(dims), rule), /wrong shape: .* the picture 3×1×2/, String(dims));
  }
});

test('channels and size are read from the shape', () => {
  for (const [dims, channels, size] of [
    [[null, 3, 64, 48], 3, { height: 64, width: 48 }], [[null, 1, 28, 28], 1, { height: 28, width: 28 }], [[1, 64, 48, 3], 3, { height: 64, width: 48 }],
    [[null, 28, 20], 1, { height: 28, width: 20 }], [[null, 784], 0, null], [[null, 3, null, null], 3, null], [[null, 5, 9, 9], 0, { height: 9, width: 9 }],
  ]) {
    assert.equal(channelsOf(dims), channels, String(dims));
    assert.deepEqual(sizeOf(dims), size, String(dims));
  }
  assert.equal(sizingText({ height: 64, width: 48 }, 'pad', 'bicubic'), 'resize 64×48 pad bicubic');
});

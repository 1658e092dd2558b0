// node --test graphs/demo
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { readMetadata } from './metadata.mjs';
import { readRecord } from './record.mjs';
import { softmax } from './scores.mjs';

const file = (name) => new Uint8Array(readFileSync(new URL(`../${name}`, import.meta.url)));

test('the exported graphs say how pixels are fed and what they were trained to', () => {
  for (const name of ['e1.onnx', 'e2.onnx']) {
    const record = readRecord(readMetadata(file(name)));
    assert.deepEqual(record.labels, [...'0123456789']);
    assert.deepEqual(record.rule, [{ scale: 1, offset: 0 }]);
    assert.ok(record.epochs >= 1 && Number.isInteger(record.epochs), `${name}: ${record.epochs} epochs`);
    // The card beside the graph is written from the same run.
    const card = new TextDecoder().decode(file(name.replace('.onnx', '/README.md')));
    assert.ok(card.includes(`${(100 * record.testAccuracy).toFixed(2)} %`), `${name}: ${record.testAccuracy} is not in its card`);
  }
});

test('what is no whole ONNX file is an error, wherever it ends', () => {
  const whole = file('e1.onnx');
  assert.throws(() => readMetadata(new TextEncoder().encode('<!doctype html>')), /not an ONNX file/);
  for (const length of [1, 100, whole.length - 1]) {
    assert.throws(() => readMetadata(whole.subarray(0, length)), /not an ONNX file/, `${length} bytes`);
  }
});

test('a graph without a record is fed 0…255, one with a damaged record is refused', () => {
  const { known, rule } = readRecord(new Map());
  assert.deepEqual({ known, rule }, { known: false, rule: [{ scale: 1, offset: 0 }] });
  assert.throws(() => readRecord(new Map([['slipway.pixel_scale', 'wide']])), /pixel_scale/);
});

test('softmax: known values, large scores, no numbers', () => {
  const [a, b] = softmax([Math.log(1), Math.log(3)]);
  assert.ok(Math.abs(a - 0.25) < 1e-12 && Math.abs(b - 0.75) < 1e-12);
  assert.deepEqual(softmax([1e4, 0]), [1, 0]);
  assert.throws(() => softmax([NaN, 0]), /no numbers/);
});

// node --test graphs/demo
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { readGraph } from './graph.mjs';
import { probabilitiesOf, ranked } from './scores.mjs';

// Messages of onnx.proto, as far as the reader looks at them.
const join = (...parts) => Buffer.concat(parts.map((part) => Buffer.from(part)));
const varint = (value) => (value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))]);
const number = (field, value) => Buffer.from([...varint(8 * field), ...varint(value)]);
const bytes = (field, ...parts) => join([...varint(8 * field + 2), ...varint(join(...parts).length)], ...parts);
const value = (name, element, ...dims) => join(bytes(1, name), bytes(2, bytes(1, number(1, element), bytes(2, ...dims.map((dim) => (dim ? bytes(1, number(1, dim)) : bytes(1, bytes(2, 'open'))))))));
const node = (operator, input, output, ...rest) => bytes(1, bytes(1, input), bytes(2, output), bytes(4, operator), ...rest);
const cast = (to) => bytes(5, bytes(1, 'to'), number(3, to));
const model = (...graph) => join(number(1, 8), bytes(7, ...graph));
const images = bytes(11, value('images', 1, 0, 3, 8, 8));
const scores = bytes(12, value('scores', 1, 0, 10));

test('of the exported graphs the input, the scores and their function are found', () => {
  const graph = readGraph(new Uint8Array(readFileSync(new URL('../e1.onnx', import.meta.url))));
  assert.deepEqual(graph.input.dims, [null, 1, 28, 28]);
  assert.equal(graph.input.type, 'float32');
  assert.deepEqual(graph.output.dims, [null, 10]);
  assert.equal(graph.head, '');
});

test('the function that makes scores is found behind what changes no number', () => {
  const conv = node('Conv', 'images', 'logits');
  for (const [nodes, head] of [
    [[conv, node('Softmax', 'logits', 'scores')], 'Softmax'],
    [[conv, node('LogSoftmax', 'logits', 'a'), node('Flatten', 'a', 'b'), node('Identity', 'b', 'scores')], 'LogSoftmax'],
    [[conv, node('Sigmoid', 'logits', 'a'), node('Cast', 'a', 'scores', cast(1))], 'Sigmoid'],
    [[conv, node('Softmax', 'logits', 'a'), node('Cast', 'a', 'scores', cast(7))], ''],
    [[conv, node('Softmax', 'logits', 'a'), node('Mul', 'a', 'scores')], ''],
    [[conv, node('Softmax', 'logits', 'scores', bytes(7, 'my.own'))], ''],
    [[node('Softmax', 'images', 'scores')], ''],
    [[node('Identity', 'scores', 'scores')], ''], // a cycle
    [[], ''],
  ]) {
    assert.equal(readGraph(model(...nodes, images, scores)).head, head);
  }
});

test('a graph that is no classifier of pictures is refused in words', () => {
  const weight = bytes(5, bytes(8, 'weight'));
  const another = bytes(11, value('weight', 1, 3, 3));
  assert.equal(readGraph(model(weight, images, another, scores)).input.name, 'images');
  for (const [file, words] of [
    [model(images, another, scores), /takes 2 inputs: “images” \(float32 N×3×8×8\), “weight”/],
    [model(scores), /takes 0 inputs/],
    [model(bytes(11, value('tokens', 7, 0, 9)), scores), /“tokens” \(elements of type 7 N×9\): pictures are fed here as float32, float64, uint8/],
    [model(bytes(11, value('half', 10, 0, 3, 8, 8)), scores), /“half” \(float16/],
    [model(bytes(11, bytes(1, 'map'), bytes(2, bytes(5, ''))), scores), /“map” \(no tensor\)/],
    [model(bytes(11, value('sound', 1, 9)), scores), /no batch of pictures/],
    [model(images, bytes(12, value('mask', 1, 0, 10, 8, 8))), /no outputs that can be the scores.*“mask”/],
    [model(images, bytes(12, value('one', 1, 0, 1))), /no outputs/],
    [model(images, scores, bytes(12, value('others', 1, 0, 10))), /2 outputs that can be the scores/],
    [number(1, 8), /holds no graph/],
    [Buffer.from('\xff\xd8\xff\xe0', 'latin1'), /not an ONNX file/],
    [new Uint8Array(), /holds no graph/],
  ]) {
    assert.throws(() => readGraph(file), words);
  }
});

test('scores become probabilities, the likeliest class first', () => {
  assert.deepEqual(probabilitiesOf(Float32Array.of(0.25, 0.75), 'Softmax'), [0.25, 0.75]);
  assert.deepEqual(probabilitiesOf([Math.log(0.25), Math.log(0.75)], 'LogSoftmax').map((p) => p.toFixed(9)), ['0.250000000', '0.750000000']);
  assert.deepEqual(probabilitiesOf([0, 0], ''), [0.5, 0.5]);
  assert.deepEqual(probabilitiesOf([0, Math.log(3)], '', 'sigmoid').map((p) => p.toFixed(9)), ['0.500000000', '0.750000000']);
  assert.throws(() => probabilitiesOf([NaN, 0], 'Softmax'), /no numbers/);
  assert.deepEqual(ranked([0.2, 0.4, 0.4], ['ant', 'bee']).map(({ label }) => label), ['bee', '2', 'ant']);
});

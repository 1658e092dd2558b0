// What must be known of an ONNX graph to feed it a picture and to read its scores, by the rules of package infer: its one
// input, its scores, and the function that made them. The numbers are those of onnx.proto's fields.

import { fields, last, messages, text } from './protobuf.mjs';

const MODEL = { graph: 7 };
const GRAPH = { node: 1, initializer: 5, input: 11, output: 12, sparseInitializer: 15 };
const NODE = { input: 1, output: 2, operator: 4, attribute: 5, domain: 7 };
const ATTRIBUTE = { name: 1, number: 3 };
const TENSOR = { name: 8 };
const SPARSE = { values: 1 };
const VALUE = { name: 1, type: 2 };
const TYPE = { tensor: 1, element: 1, shape: 2, dimension: 1, size: 1 };
const ELEMENTS = new Map([[1, 'float32'], [2, 'uint8'], [10, 'float16'], [11, 'float64']]);
const FED = ['float32', 'float64', 'uint8'];
const SCORES = ['float32', 'float64'];
const HEADS = ['Softmax', 'LogSoftmax', 'Sigmoid'];
const PASSES = ['Identity', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Cast', 'Dropout']; // each number keeps its value

/**
 * @param {Uint8Array} file
 * @returns {{input: Value, output: Value, head: string}} head is Softmax, LogSoftmax or Sigmoid where the scores come from
 *   it, and empty where they are logits
 * @typedef {{name: string, type: string, dims: (number | null)[]}} Value of a dimension that is left open, null
 */
export function readGraph(file) {
  const graph = last(file, MODEL.graph);
  if (!(graph instanceof Uint8Array)) throw new Error('the file holds no graph: it is no ONNX model');
  const parts = { weights: new Set(), inputs: [], outputs: [], makers: new Map() };
  for (const [field, part] of fields(graph)) {
    if (!(part instanceof Uint8Array)) continue;
    switch (field) {
      case GRAPH.initializer: parts.weights.add(text(last(part, TENSOR.name))); break;
      case GRAPH.sparseInitializer: parts.weights.add(text(last(last(part, SPARSE.values) ?? part, TENSOR.name))); break;
      case GRAPH.input: parts.inputs.push(valueOf(part)); break;
      case GRAPH.output: parts.outputs.push(valueOf(part)); break;
      case GRAPH.node: addNode(parts.makers, part); break;
      default:
    }
  }
  const input = inputOf(parts.inputs.filter(({ name }) => !parts.weights.has(name)));
  const output = scoresOf(parts.outputs);
  return { input, output, head: headOf(parts.makers, output.name) };
}

/** shapeText writes dimensions as N×3×64×64: N for an open batch, ? for another that is open. */
export function shapeText(dims) {
  return dims.map((dim, i) => dim ?? (i ? '?' : 'N')).join('×') || 'a scalar';
}

function valueOf(message) {
  const type = last(message, VALUE.type) ?? new Uint8Array();
  const tensor = last(type, TYPE.tensor);
  const value = { name: text(last(message, VALUE.name)), type: 'no tensor', dims: null };
  if (!(tensor instanceof Uint8Array)) return value;
  const element = last(tensor, TYPE.element) ?? 0;
  value.type = ELEMENTS.get(element) ?? `elements of type ${element}`;
  const shape = last(tensor, TYPE.shape);
  if (!(shape instanceof Uint8Array)) return value;
  value.dims = [];
  for (const dimension of messages(shape, TYPE.dimension)) {
    const size = last(dimension, TYPE.size);
    value.dims.push(Number.isInteger(size) && size > 0 && size < 2 ** 31 ? size : null);
  }
  return value;
}

function describe({ name, type, dims }) {
  return `“${name}” (${type}${dims ? ` ${shapeText(dims)}` : ''})`;
}

function inputOf(inputs) {
  if (inputs.length !== 1) {
    const names = inputs.length ? `: ${inputs.map(describe).join(', ')}` : '';
    throw new Error(`the graph takes ${inputs.length} inputs${names}. A classifier with one input, the pictures, can be run here`);
  }
  const [input] = inputs;
  if (!FED.includes(input.type)) {
    throw new Error(`input ${describe(input)}: pictures are fed here as ${FED.join(', ')}; export the graph with one of these`);
  }
  if (!input.dims || input.dims.length < 2 || input.dims.length > 4) {
    throw new Error(`input ${describe(input)} is no batch of pictures: N×C×H×W, N×H×W×C, N×H×W or N×features is wanted`);
  }
  return input;
}

// scoresOf chooses the output that can be a batch's scores, N×K.
function scoresOf(outputs) {
  const scores = outputs.filter(({ type, dims }) => SCORES.includes(type)
    && (!dims || (dims.length >= 2 && dims[1] !== 1 && dims.slice(2).every((dim) => dim === 1 || dim === null))));
  if (scores.length !== 1) {
    const names = outputs.map(describe).join(', ');
    throw new Error(`the graph has ${scores.length || 'no'} outputs that can be the scores of classes, one tensor N×K of ${SCORES.join(' or ')}: ${names}`);
  }
  return scores[0];
}

function addNode(makers, message) {
  const node = { inputs: [], operator: '', domain: '', attributes: [] };
  let made;
  for (const [field, value] of fields(message)) {
    switch (field) {
      case NODE.input: node.inputs.push(text(value)); break;
      case NODE.output: made ??= text(value); break;
      case NODE.operator: node.operator = text(value); break;
      case NODE.domain: node.domain = text(value); break;
      case NODE.attribute: node.attributes.push(value); break;
      default:
    }
  }
  if (made !== undefined) makers.set(made, node);
}

// headOf follows the scores back, over what changes no number, to the function that made them.
function headOf(makers, output) {
  let value = output;
  for (let steps = 0; steps <= makers.size; steps++) { // a sound graph has no cycle; a damaged one may
    const node = makers.get(value);
    if (!node || node.inputs.length === 0 || !['', 'ai.onnx'].includes(node.domain)) return '';
    if (HEADS.includes(node.operator)) return makers.has(node.inputs[0]) ? node.operator : '';
    if (!PASSES.includes(node.operator) || roundsToIntegers(node)) return '';
    [value] = node.inputs;
  }
  return '';
}

function roundsToIntegers({ operator, attributes }) {
  if (operator !== 'Cast') return false;
  const to = attributes.find((attribute) => text(last(attribute, ATTRIBUTE.name)) === 'to');
  return !to || !['float32', 'float16', 'float64'].includes(ELEMENTS.get(last(to, ATTRIBUTE.number)));
}

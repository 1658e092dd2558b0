// The worker of the card “your own picture”: it reads a graph, and then pictures, and answers. What takes long here, or
// takes all memory, does not hold up the page, which ends the worker when another graph is chosen.

import { decode } from './decoder.mjs';
import { channelsOf, inputOf } from './feed.mjs';
import { readGraph } from './graph.mjs';
import { readMetadata } from './metadata.mjs';
import { readRecord } from './record.mjs';
import { loadRuntime } from './runtime.mjs';
import { probabilitiesOf, ranked } from './scores.mjs';

const GRAPH_LIMIT = 2 ** 30; // bytes of a graph; a session takes some times as much
const PICTURE_LIMIT = 256 * 2 ** 20; // bytes, as package picture's

let model; // the graph that is open

const tasks = { open, answer };

addEventListener('message', async ({ data: { id, task, argument } }) => {
  try {
    postMessage({ id, value: await tasks[task](argument) });
  } catch (error) {
    postMessage({ id, error: error?.message ?? String(error) });
  }
});

async function open(file) {
  const bytes = await read(file, GRAPH_LIMIT);
  const graph = readGraph(bytes);
  const record = readRecord(readMetadata(bytes));
  const ort = await loadRuntime();
  const session = await ort.InferenceSession.create(bytes, { executionProviders: ['wasm'] });
  model = { ort, session, graph, record };
  return { graph, record };
}

async function answer({ file, sizing, rule }) {
  const { ort, session, graph, record } = model;
  const picture = await decode(await read(file, PICTURE_LIMIT), channelsOf(graph.input.dims), sizing);
  const { values, shape } = inputOf(picture, graph.input, rule);
  const begin = performance.now();
  const outputs = await session.run({ [graph.input.name]: new ort.Tensor(graph.input.type, values, shape) }, [graph.output.name]);
  const milliseconds = performance.now() - begin;
  const { data, dims } = outputs[graph.output.name];
  if (dims.length < 2 || dims[0] !== shape[0] || data.length !== dims[0] * dims[1] || dims[1] < 2) {
    throw new Error(`the output “${graph.output.name}” has the shape ${dims.join('×')} for ${shape[0]} pictures: N×K is wanted, a score for each of K classes`);
  }
  const scores = data.subarray(0, dims[1]);
  return { picture, milliseconds, classes: ranked(probabilitiesOf(scores, graph.head, record.probabilities), record.labels) };
}

async function read(file, limit) {
  if (file.size > limit) throw new Error(`${file.size} bytes, and ${limit} at most are read here`);
  try {
    return new Uint8Array(await file.arrayBuffer());
  } catch (error) {
    throw new Error(`it cannot be read: it is a folder, or it has changed or gone since it was chosen (${error.message})`);
  }
}

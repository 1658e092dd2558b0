// node.mjs MODEL INPUTS COUNT LOGITS THREADS SHAPE NODE_MODULES: the worker for onnxruntime-web in Node.
import { readFileSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { classify } from './classify.mjs';

const [model, inputs, count, target, threads, shape, modules] = process.argv.slice(2);
const ort = await import(pathToFileURL(`${modules}/onnxruntime-web/dist/ort.node.min.mjs`).href);
const values = shape.split(',').map(Number).reduce((a, b) => a * b); // an image's
const type = inputs.endsWith('.u8') ? 'uint8' : 'float32';
const images = new Uint8Array(readFileSync(inputs)).subarray(0, count * values * (type === 'uint8' ? 1 : 4));
const { logits, said } = await classify(ort, null, new Uint8Array(readFileSync(model)), images, Number(threads), shape.split(',').map(Number),
  type, Number(process.env.CONFORMANCE_BATCH ?? 0));
writeFileSync(target, new Uint8Array(logits.buffer));
console.log(JSON.stringify({ ...said, host: `Node ${process.versions.node}` }));
process.exit(0); // the provider's threads would keep the process alive

// node.mjs MODEL PIXELS COUNT LOGITS THREADS NODE_MODULES: the worker for onnxruntime-web in Node.
import { readFileSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { classify } from './classify.mjs';

const [model, pixels, count, target, threads, modules] = process.argv.slice(2);
const ort = await import(pathToFileURL(`${modules}/onnxruntime-web/dist/ort.node.min.mjs`).href);
const images = readFileSync(pixels).subarray(0, count * 784);
const { logits, said } = await classify(ort, null, new Uint8Array(readFileSync(model)), images, Number(threads));
writeFileSync(target, new Uint8Array(logits.buffer));
console.log(JSON.stringify({ ...said, host: `Node ${process.versions.node}` }));
process.exit(0); // the provider's threads would keep the process alive

// chromium.mjs MODEL INPUTS COUNT LOGITS THREADS SHAPE NODE_MODULES CHROMIUM: the worker for onnxruntime-web in headless Chromium.
// Everything the page loads, WebAssembly included, comes from a server on the loopback address.
import { createReadStream, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const [model, inputs, count, target, threads, shape, modules, executablePath] = process.argv.slice(2);
const values = shape.split(',').map(Number).reduce((a, b) => a * b); // an image's
const type = inputs.endsWith('.u8') ? 'uint8' : 'float32';
const here = dirname(fileURLToPath(import.meta.url));
const { chromium } = createRequire(`${modules}/`)('playwright-core');
const types = { '.mjs': 'text/javascript', '.wasm': 'application/wasm', '.html': 'text/html' };

const server = createServer((request, response) => {
  // Cross-origin isolation, without which a page gets no shared memory and so no threads.
  response.setHeader('Cross-Origin-Opener-Policy', 'same-origin');
  response.setHeader('Cross-Origin-Embedder-Policy', 'require-corp');
  const { pathname } = new URL(request.url, 'http://localhost');
  if (pathname === '/logits' && request.method === 'POST') {
    const parts = [];
    request.on('data', (part) => parts.push(part));
    request.on('end', () => {
      writeFileSync(target, Buffer.concat(parts));
      response.end();
    });
    return;
  }
  if (pathname === '/') {
    response.setHeader('Content-Type', types['.html']);
    response.end('<!doctype html><title>conformance</title>');
    return;
  }
  let file;
  if (pathname === '/model') file = model;
  else if (pathname === '/classify.mjs') file = join(here, 'classify.mjs');
  else if (pathname.startsWith('/ort/')) file = join(modules, 'onnxruntime-web', 'dist', basename(pathname));
  if (pathname === '/inputs') {
    response.end(readFileSync(inputs).subarray(0, count * values * (type === 'uint8' ? 1 : 4)));
    return;
  }
  if (!file) {
    response.statusCode = 404;
    response.end();
    return;
  }
  response.setHeader('Content-Type', types[file.slice(file.lastIndexOf('.'))] ?? 'application/octet-stream');
  createReadStream(file)
    .on('error', () => {
      response.statusCode = 404;
      response.end();
    })
    .pipe(response);
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));

// The container's root user has no sandbox to drop into; the page is our own.
const browser = await chromium.launch({ executablePath, headless: true, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
try {
  const page = await browser.newPage();
  page.setDefaultTimeout(0);
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  const said = await page.evaluate(async ({ wanted, shape, type, batch }) => {
    const ort = await import('/ort/ort.wasm.min.mjs');
    const { classify } = await import('/classify.mjs');
    const read = async (path) => new Uint8Array(await (await fetch(path)).arrayBuffer());
    const { logits, said } = await classify(ort, '/ort/', await read('/model'), await read('/inputs'), wanted, shape, type, batch);
    const answer = await fetch('/logits', { method: 'POST', body: logits });
    if (!answer.ok) throw new Error(`the logits were not taken: ${answer.status}`);
    return said;
  }, { wanted: Number(threads), shape: shape.split(',').map(Number), type, batch: Number(process.env.CONFORMANCE_BATCH ?? 0) });
  console.log(JSON.stringify({ ...said, host: `Chromium ${browser.version()}` }));
} finally {
  await browser.close();
  server.close();
}

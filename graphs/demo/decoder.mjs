// Package picture, compiled to WebAssembly (scripts/demo/decoder): pictures become the bytes that infer makes of them.

import './vendor/wasm_exec.mjs'; // Go's own: it sets globalThis.Go

const KEPT = 512 * 2 ** 20; // bytes; WebAssembly's memory never shrinks, so that a program that has more is started anew
let module; // compiled once
let program; // the one that runs

/**
 * @param {Uint8Array} file
 * @param {number} channels 1, 3, or 0 for the file's own
 * @param {string} sizing as picture.ParseSizing reads it, empty for the picture's own size
 * @returns {Promise<{channels: number, height: number, width: number, pixels: Uint8Array}>} C×H×W
 */
export async function decode(file, channels, sizing) {
  program ??= await start();
  let answer;
  try {
    answer = program.sized(file, channels, sizing);
  } catch {
    // The program has ended; below.
  }
  if (answer === undefined || program.memory.buffer.byteLength > KEPT) program = undefined;
  if (answer === undefined) throw new Error('the decoder failed, perhaps for lack of memory: make the picture smaller');
  if (typeof answer === 'string') throw new Error(answer);
  return answer;
}

async function start() {
  module ??= await compile(new URL('decoder.wasm', import.meta.url));
  const go = new globalThis.Go();
  const instance = await WebAssembly.instantiate(module, go.importObject);
  go.run(instance).catch(() => {}); // it ends only by failing, which the next call sees
  return { sized: globalThis.slipwaySized, memory: instance.exports.mem };
}

async function compile(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url.pathname}: the server answers ${response.status} ${response.statusText}`);
  return WebAssembly.compile(await response.arrayBuffer());
}

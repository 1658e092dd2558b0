// onnxruntime-web, set up for any web server.

/** @returns onnxruntime-web's module */
export async function loadRuntime() {
  const ort = await import('./vendor/ort.wasm.min.mjs');
  ort.env.wasm.wasmPaths = new URL('vendor/', import.meta.url).href;
  // One thread needs no shared memory, and so no special headers from the server.
  ort.env.wasm.numThreads = 1;
  return ort;
}

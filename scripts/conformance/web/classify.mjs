// What Node and the browser share: runs a model on inputs, little-endian
// float32 or uint8, in an image's shape, with onnxruntime-web's WebAssembly
// provider; in batches of the only size that it takes, or of 100.
export async function classify(ort, wasmPaths, model, inputs, threads, shape, type, fixed) {
  const batch = fixed || 100;
  if (wasmPaths) ort.env.wasm.wasmPaths = wasmPaths;
  ort.env.wasm.numThreads = threads;
  const session = await ort.InferenceSession.create(model, { executionProviders: ['wasm'] });
  const [input, output] = [session.inputNames[0], session.outputNames[0]];
  const values = type === 'uint8' ? inputs : new Float32Array(inputs.buffer, inputs.byteOffset, inputs.length / 4);
  const size = shape.reduce((a, b) => a * b);
  const count = values.length / size;
  const parts = [];
  let milliseconds = 0;
  let firstAnswer = 0;
  for (let start = 0; start < count; start += batch) {
    const n = Math.min(batch, count - start);
    const images = values.slice(start * size, (start + n) * size);
    const begin = performance.now();
    const result = await session.run({ [input]: new ort.Tensor(type, images, [n, ...shape]) });
    milliseconds += performance.now() - begin;
    firstAnswer ||= Date.now() / 1000;
    parts.push(result[output].data);
  }
  const logits = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    logits.set(part, at);
    at += part.length;
  }
  const said = {
    version: ort.env.versions.web,
    precision: 'float32',
    batch,
    threads: ort.env.wasm.numThreads,
    seconds: milliseconds / 1000,
    first_answer: firstAnswer,
  };
  return { logits, said };
}

// An exported graph that answers a picture through onnxruntime-web.

import { readMetadata } from './metadata.mjs';
import { SIDE } from './preprocess.mjs';
import { readRecord } from './record.mjs';
import { softmax } from './scores.mjs';

/**
 * Fetches a graph and makes a session of it.
 * @param ort onnxruntime-web
 * @param {string} url
 * @returns {Promise<Model>}
 */
export async function loadModel(ort, url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: the server answers ${response.status} ${response.statusText}`);
  const file = new Uint8Array(await response.arrayBuffer());
  try {
    const record = readRecord(readMetadata(file));
    const session = await ort.InferenceSession.create(file, { executionProviders: ['wasm'] });
    return new Model(ort, session, record);
  } catch (error) {
    throw new Error(`${url}: ${error.message}`, { cause: error });
  }
}

class Model {
  #ort;
  #session;

  constructor(ort, session, record) {
    this.#ort = ort;
    this.#session = session;
    this.record = record;
  }

  /**
   * @param {Uint8Array} picture 28·28 pixels of 0…255
   * @returns {Promise<{probabilities: number[], best: number, milliseconds: number}>}
   */
  async classify(picture) {
    const [{ scale, offset }] = this.record.rule; // a drawing has one channel
    const input = Float32Array.from(picture, (pixel) => pixel * scale + offset);
    const [inputName, outputName] = [this.#session.inputNames[0], this.#session.outputNames[0]];
    const begin = performance.now();
    const outputs = await this.#session.run({ [inputName]: new this.#ort.Tensor('float32', input, [1, 1, SIDE, SIDE]) });
    const milliseconds = performance.now() - begin;
    const logits = outputs[outputName].data;
    if (logits.length !== this.record.labels.length) {
      throw new Error(`${logits.length} scores for ${this.record.labels.length} classes`);
    }
    const probabilities = softmax(logits);
    const best = probabilities.indexOf(Math.max(...probabilities));
    return { probabilities, best, milliseconds };
  }
}

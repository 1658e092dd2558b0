// An exported graph that answers a picture through onnxruntime-web.

import { readMetadata } from './metadata.mjs';
import { SIDE } from './preprocess.mjs';

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
    const record = recordOf(readMetadata(file));
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
    const input = Float32Array.from(picture, (pixel) => pixel * this.record.pixelScale + this.record.pixelOffset);
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

/** recordOf takes from the metadata what Slipway's export writes there; a graph without it is fed 0…255. */
export function recordOf(metadata) {
  const record = {
    pixelScale: Number(metadata.get('slipway.pixel_scale') ?? 1),
    pixelOffset: Number(metadata.get('slipway.pixel_offset') ?? 0),
    labels: JSON.parse(metadata.get('slipway.class_labels') ?? '["0","1","2","3","4","5","6","7","8","9"]'),
    testAccuracy: metadata.has('slipway.test_accuracy') ? Number(metadata.get('slipway.test_accuracy')) : null,
    epochs: metadata.has('slipway.epochs') ? Number(metadata.get('slipway.epochs')) : null,
  };
  if (!Number.isFinite(record.pixelScale) || !Number.isFinite(record.pixelOffset)) {
    throw new Error('its metadata has no numbers for slipway.pixel_scale and slipway.pixel_offset');
  }
  return record;
}

/** softmax turns scores into probabilities; the largest is subtracted first, so that nothing overflows. */
export function softmax(scores) {
  const largest = Math.max(...scores);
  const powers = Array.from(scores, (score) => Math.exp(score - largest));
  const sum = powers.reduce((total, power) => total + power, 0);
  const probabilities = powers.map((power) => power / sum);
  if (!probabilities.every(Number.isFinite)) throw new Error('the network answers with scores that are no numbers');
  return probabilities;
}

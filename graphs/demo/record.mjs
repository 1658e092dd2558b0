// What Slipway's export writes into a graph's metadata, under the keys slipway.* (onnx.TrainingRecord).

const VERSION = '1';

/**
 * @param {Map<string, string>} metadata
 * @returns {{known: boolean, rule: {scale: number, offset: number}[], sizing: string, probabilities: string, labels: string[], dataSet: string,
 *   testAccuracy: number | null, testImages: number | null, epochs: number | null}} of a graph without a record, known is
 *   false, and pixels are fed as they are, as infer does; probabilities is sigmoid where classes stand alone
 */
export function readRecord(metadata) {
  const version = metadata.get('slipway.record');
  if (version !== undefined && version !== VERSION) {
    throw new Error(`its training record has the version “${version}”; this page reads ${VERSION}`);
  }
  const number = (key) => (metadata.has(key) ? numberOf(key, metadata.get(key)) : null);
  return {
    known: version !== undefined,
    rule: ruleOf(metadata.get('slipway.pixel_scale') ?? '1', metadata.get('slipway.pixel_offset') ?? '0'),
    sizing: metadata.get('slipway.sizing') ?? '',
    probabilities: metadata.get('slipway.probabilities') ?? '',
    labels: labelsOf(metadata.get('slipway.class_labels')),
    dataSet: metadata.get('slipway.data_set') ?? '',
    testAccuracy: number('slipway.test_accuracy'),
    testImages: number('slipway.test_images'),
    epochs: number('slipway.epochs'),
  };
}

// ruleOf reads the factors and the summands of pixels: one of each for all channels, or one for each, with commas between.
function ruleOf(scales, offsets) {
  const [factors, summands] = [['slipway.pixel_scale', scales], ['slipway.pixel_offset', offsets]]
    .map(([key, text]) => text.split(',').map((number) => numberOf(key, number)));
  if (factors.length !== summands.length || factors.includes(0)) {
    throw new Error(`its metadata scales pixels by ${scales} and adds ${offsets}: a factor other than 0 and a summand are wanted, or one of each for every channel`);
  }
  return factors.map((scale, channel) => ({ scale, offset: summands[channel] }));
}

function numberOf(key, text) {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new Error(`its metadata has no number for ${key}, but “${text}”`);
  return value;
}

function labelsOf(text) {
  if (text === undefined) return [];
  let labels;
  try {
    labels = JSON.parse(text);
  } catch {
    labels = null;
  }
  if (!Array.isArray(labels) || !labels.every((label) => typeof label === 'string')) {
    throw new Error('its metadata has no list of texts for slipway.class_labels');
  }
  return labels;
}

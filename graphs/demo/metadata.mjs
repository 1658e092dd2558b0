// Reads the metadata of an ONNX file, which onnxruntime-web does not show. An ONNX file is a protocol buffer, ModelProto of
// onnx.proto; its field metadata_props repeats pairs of a key and a value. Everything else is passed over.

const METADATA_PROPS = 14; // field of ModelProto
const [KEY, VALUE] = [1, 2]; // fields of StringStringEntryProto

/**
 * @param {Uint8Array} file
 * @returns {Map<string, string>}
 */
export function readMetadata(file) {
  const text = new TextDecoder('utf-8', { fatal: true });
  const metadata = new Map();
  for (const [field, entry] of fields(file)) {
    if (field !== METADATA_PROPS) continue;
    const pair = new Map(fields(entry));
    metadata.set(text.decode(pair.get(KEY)), text.decode(pair.get(VALUE)));
  }
  return metadata;
}

// fields yields the number and the bytes of each field that has bytes.
function* fields(message) {
  let at = 0;

  function varint() {
    let value = 0;
    for (let weight = 1; ; weight *= 128) {
      if (at >= message.length || weight > 2 ** 63) throw notONNX(at);
      const byte = message[at++];
      value += (byte % 128) * weight; // exact below 2⁵³, as every length and tag in a sound file is
      if (byte < 128) return value;
    }
  }

  while (at < message.length) {
    const start = at;
    const tag = varint();
    let length = 0;
    switch (tag % 8) {
      case 0: varint(); break;
      case 1: length = 8; break;
      case 2: length = varint(); break;
      case 5: length = 4; break;
      default: throw notONNX(start);
    }
    if (length > message.length - at) throw notONNX(start);
    if (tag % 8 === 2) yield [Math.floor(tag / 8), message.subarray(at, at + length)];
    at += length;
  }
}

function notONNX(at) {
  return new Error(`not an ONNX file, or a damaged one: no field can be read at byte ${at}`);
}

// Walks a protocol buffer, as ONNX files are: numbers and runs of bytes by the number of their field. Nothing is copied.

/**
 * fields yields each field that has a number (varint) or bytes, in the file's order; fields of fixed width are passed over.
 * @param {Uint8Array} message
 * @returns {Generator<[number, number | Uint8Array]>} numbers above 2⁵³, of which no sound file has any that matters here, are rounded
 */
export function* fields(message) {
  let at = 0;

  function varint() {
    let value = 0;
    for (let weight = 1; ; weight *= 128) {
      if (at >= message.length || weight > 2 ** 63) throw notONNX(at);
      const byte = message[at++];
      value += (byte % 128) * weight;
      if (byte < 128) return value;
    }
  }

  while (at < message.length) {
    const start = at;
    const tag = varint();
    const field = Math.floor(tag / 8);
    let length = 0;
    switch (tag % 8) {
      case 0:
        yield [field, varint()];
        continue;
      case 1: length = 8; break;
      case 2: length = varint(); break;
      case 5: length = 4; break;
      default: throw notONNX(start);
    }
    if (length > message.length - at) throw notONNX(start);
    if (tag % 8 === 2) yield [field, message.subarray(at, at + length)];
    at += length;
  }
}

/** messages yields what is inside of a message's fields of that number. */
export function* messages(message, wanted) {
  for (const [field, value] of fields(message)) {
    if (field === wanted && value instanceof Uint8Array) yield value;
  }
}

/** last is the value of a field that occurs once, the last where it is repeated, or undefined. */
export function last(message, wanted) {
  let found;
  for (const [field, value] of fields(message)) {
    if (field === wanted) found = value;
  }
  return found;
}

const decoder = new TextDecoder('utf-8', { fatal: true });

/** text is a field's text, empty where it is missing, as protocol buffers have it. */
export function text(bytes) {
  return bytes instanceof Uint8Array ? decoder.decode(bytes) : '';
}

function notONNX(at) {
  return new Error(`not an ONNX file, or a damaged one: no field can be read at byte ${at}`);
}

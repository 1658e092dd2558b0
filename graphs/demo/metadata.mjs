// Reads the metadata of an ONNX file, which onnxruntime-web does not show. An ONNX file is a protocol buffer, ModelProto of
// onnx.proto; its field metadata_props repeats pairs of a key and a value. Everything else is passed over.

import { last, messages, text } from './protobuf.mjs';

const METADATA_PROPS = 14; // field of ModelProto
const [KEY, VALUE] = [1, 2]; // fields of StringStringEntryProto

/**
 * @param {Uint8Array} file
 * @returns {Map<string, string>}
 */
export function readMetadata(file) {
  const metadata = new Map();
  for (const entry of messages(file, METADATA_PROPS)) metadata.set(text(last(entry, KEY)), text(last(entry, VALUE)));
  return metadata;
}

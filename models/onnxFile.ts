/**
 * The few facts koine reads from an ONNX file itself, by walking its protobuf wire format (onnx.proto3, field numbers
 * below): the opset, which ONNX Runtime does not report.
 */

const VARINT = 0;
const FIXED64 = 1;
const LENGTH_DELIMITED = 2;
const FIXED32 = 5;

/** One field of a protobuf message; `start` and `end` bound the payload of a length-delimited one. */
export interface WireField {
  number: number;
  /** Value of a varint field; 0 for the others. */
  value: number;
  start: number;
  end: number;
}

/**
 * Fields of the protobuf message in `bytes[from, to)`, in file order.
 * @throws Error if the bytes are not a protobuf message
 */
export function* wireFields(bytes: Uint8Array, from = 0, to = bytes.length): Generator<WireField> {
  let at = from;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      if (at >= to || scale > 2 ** 63) throw new Error('models/onnxFile: not a protobuf message (bad varint)');
      const byte = bytes[at++];
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < to) {
    const tag = varint();
    const field: WireField = { number: Math.floor(tag / 8), value: 0, start: at, end: at };
    const kind = tag % 8;
    if (kind === VARINT) field.value = varint();
    else if (kind === LENGTH_DELIMITED) {
      const length = varint();
      field.start = at;
      at += length;
    } else if (kind === FIXED64) at += 8;
    else if (kind === FIXED32) at += 4;
    else throw new Error(`models/onnxFile: not a protobuf message (wire type ${kind})`);
    if (at > to) throw new Error('models/onnxFile: the file is cut short');
    field.end = at;
    yield field;
  }
}

/** ModelProto.opset_import and its OperatorSetIdProto. */
const OPSET_IMPORT = 8;
const OPSET_DOMAIN = 1;
const OPSET_VERSION = 2;

/**
 * Opset version of the default operator domain (`''` or `ai.onnx`), or null if the file imports none.
 * @param onnx bytes of the whole file
 */
export function opsetOf(onnx: Uint8Array): number | null {
  for (const field of wireFields(onnx)) {
    if (field.number !== OPSET_IMPORT) continue;
    let domain = '';
    let version = 0;
    for (const part of wireFields(onnx, field.start, field.end)) {
      if (part.number === OPSET_DOMAIN) domain = new TextDecoder().decode(onnx.subarray(part.start, part.end));
      if (part.number === OPSET_VERSION) version = part.value;
    }
    if (domain === '' || domain === 'ai.onnx') return version;
  }
  return null;
}

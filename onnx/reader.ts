/**
 * The few facts koine reads from an ONNX file itself, by walking its protobuf wire format (onnx.proto3, field numbers
 * below): the opset, which ONNX Runtime does not report, and where float arrays lie.
 */

const VARINT = 0;
const FIXED64 = 1;
const LENGTH_DELIMITED = 2;
const FIXED32 = 5;

/** One field of a protobuf message; `start` and `end` bound the payload of a length-delimited one. */
interface WireField {
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
function* wireFields(bytes: Uint8Array, from = 0, to = bytes.length): Generator<WireField> {
  let at = from;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      if (at >= to || scale > 2 ** 63) throw new Error('onnx/reader: not a protobuf message (bad varint)');
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
    else throw new Error(`onnx/reader: not a protobuf message (wire type ${kind})`);
    if (at > to) throw new Error('onnx/reader: the file is cut short');
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

/** A float32 or float64 array inside an ONNX file: `count` entries of `width` bytes, little-endian, from byte `start`. */
export interface FloatArray {
  start: number;
  count: number;
  width: 4 | 8;
}

/** ModelProto.graph; GraphProto.node and .initializer; NodeProto.attribute; AttributeProto.t and .g. */
const GRAPH = 7;
const GRAPH_NODE = 1;
const GRAPH_INITIALIZER = 5;
const NODE_ATTRIBUTE = 5;
const ATTRIBUTE_TENSOR = 5;
const ATTRIBUTE_GRAPH = 6;
/** TensorProto: data_type with the numbers of FLOAT and DOUBLE, and the three fields that may hold their entries. */
const TENSOR_TYPE = 2;
const TENSOR_FLOATS = 4;
const TENSOR_RAW = 9;
const TENSOR_DOUBLES = 10;
const WIDTHS: Readonly<Record<number, 4 | 8>> = { 1: 4, 11: 8 };

/**
 * Where the float arrays of a network lie, in file order: initialisers and the values of Constant nodes, also in subgraphs.
 * Arrays kept in other files, or as unpacked fields of single numbers, are not found.
 * @param onnx bytes of the whole file
 */
export function* floatArrays(onnx: Uint8Array): Generator<FloatArray> {
  for (const field of wireFields(onnx)) if (field.number === GRAPH) yield* arraysOfGraph(onnx, field);
}

function* arraysOfGraph(onnx: Uint8Array, graph: WireField): Generator<FloatArray> {
  for (const field of wireFields(onnx, graph.start, graph.end)) {
    if (field.number === GRAPH_INITIALIZER) yield* arrayOfTensor(onnx, field);
    if (field.number !== GRAPH_NODE) continue;
    for (const attribute of wireFields(onnx, field.start, field.end)) {
      if (attribute.number !== NODE_ATTRIBUTE) continue;
      for (const value of wireFields(onnx, attribute.start, attribute.end)) {
        if (value.number === ATTRIBUTE_TENSOR && value.end > value.start) yield* arrayOfTensor(onnx, value);
        if (value.number === ATTRIBUTE_GRAPH) yield* arraysOfGraph(onnx, value);
      }
    }
  }
}

function* arrayOfTensor(onnx: Uint8Array, tensor: WireField): Generator<FloatArray> {
  const fields = [...wireFields(onnx, tensor.start, tensor.end)];
  const width = WIDTHS[fields.find(({ number }) => number === TENSOR_TYPE)?.value ?? 0];
  if (!width) return;
  for (const { number, start, end } of fields) {
    const typed = number === (width === 4 ? TENSOR_FLOATS : TENSOR_DOUBLES);
    if ((typed || number === TENSOR_RAW) && end > start) yield { start, count: (end - start) / width, width };
  }
}

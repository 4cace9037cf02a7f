/**
 * Writes small ONNX models as bytes, so that kernels and controls are readable graphs in TypeScript instead of binary files.
 * Covers what those need of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto): nodes, attributes, initialisers and
 * typed inputs and outputs. Field numbers below are onnx.proto's.
 */

/** Element types in use, with the numbers of `TensorProto.DataType`. */
const dataTypes = { float32: 1, int32: 6, int64: 7, bool: 9, float64: 11 } as const;

/** Element type of a tensor. */
export type TensorType = keyof typeof dataTypes;

/** Type and shape of an input or output; a string is a symbolic dimension (any size, the same wherever the name recurs). */
export interface TensorSpec {
  type: TensorType;
  shape: readonly (number | string)[];
}

/** One attribute; the key says which of ONNX's attribute types it is, since `1` may be an INT or a FLOAT. */
export type OnnxAttribute = { int: number } | { float: number } | { string: string } | { ints: readonly number[] };

/** One operator; an empty string in `inputs` is an omitted optional input. */
export interface OnnxNode {
  op: string;
  inputs: readonly string[];
  outputs: readonly string[];
  attributes?: Readonly<Record<string, OnnxAttribute>>;
}

/** A constant inside the model, little-endian as every platform that koine runs on. */
export interface OnnxConstant {
  shape: readonly number[];
  data: Float32Array | Float64Array | Int32Array | BigInt64Array;
}

/** A model: one graph over the operators of the default domain. */
export interface OnnxGraph {
  name: string;
  inputs: Readonly<Record<string, TensorSpec>>;
  outputs: Readonly<Record<string, TensorSpec>>;
  constants?: Readonly<Record<string, OnnxConstant>>;
  /** In topological order. */
  nodes: readonly OnnxNode[];
}

/** Operator set 17 (2022): LayerNormalization and all older operators; ReduceSum takes its axes as input, ReduceMax as attribute. */
const OPERATOR_SET = 17;
const IR_VERSION = 8;

const text = new TextEncoder();

/** A protobuf message under construction; every method appends one field and returns the message. */
class Message {
  private readonly chunks: Uint8Array[] = [];

  private varint(value: number): void {
    const bytes: number[] = [];
    let rest = BigInt.asUintN(64, BigInt(value)); // negative integers take ten bytes, as protobuf wants
    do {
      const low = Number(rest & 0x7fn);
      rest >>= 7n;
      bytes.push(rest ? low | 0x80 : low);
    } while (rest);
    this.chunks.push(Uint8Array.from(bytes));
  }

  int(field: number, value: number): this {
    this.varint(field << 3);
    this.varint(value);
    return this;
  }

  float(field: number, value: number): this {
    this.varint((field << 3) | 5);
    this.chunks.push(new Uint8Array(Float32Array.of(value).buffer));
    return this;
  }

  bytes(field: number, value: Uint8Array): this {
    this.varint((field << 3) | 2);
    this.varint(value.length);
    this.chunks.push(value);
    return this;
  }

  string(field: number, value: string): this {
    return this.bytes(field, text.encode(value));
  }

  message(field: number, value: Message): this {
    return this.bytes(field, value.finish());
  }

  finish(): Uint8Array {
    return Buffer.concat(this.chunks);
  }
}

function encodeAttribute(name: string, attribute: OnnxAttribute): Message {
  const message = new Message().string(1, name);
  if ('float' in attribute) return message.float(2, attribute.float).int(20, 1);
  if ('int' in attribute) return message.int(3, attribute.int).int(20, 2);
  if ('string' in attribute) return message.string(4, attribute.string).int(20, 3);
  for (const value of attribute.ints) message.int(8, value);
  return message.int(20, 7);
}

function encodeNode(node: OnnxNode): Message {
  const message = new Message();
  for (const input of node.inputs) message.string(1, input);
  for (const output of node.outputs) message.string(2, output);
  message.string(4, node.op);
  for (const [name, attribute] of Object.entries(node.attributes ?? {}))
    message.message(5, encodeAttribute(name, attribute));
  return message;
}

function constantType(data: OnnxConstant['data']): TensorType {
  if (data instanceof Float32Array) return 'float32';
  if (data instanceof Float64Array) return 'float64';
  return data instanceof Int32Array ? 'int32' : 'int64';
}

function encodeConstant(name: string, { shape, data }: OnnxConstant): Message {
  const size = shape.reduce((product, dimension) => product * dimension, 1);
  if (size !== data.length) {
    throw new RangeError(
      `onnx/writer: constant '${name}' has ${data.length} values; its shape [${shape.join(', ')}] needs ${size}`,
    );
  }
  const message = new Message();
  for (const dimension of shape) message.int(1, dimension);
  return message
    .int(2, dataTypes[constantType(data)])
    .string(8, name)
    .bytes(9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
}

function encodeValue(name: string, { type, shape }: TensorSpec): Message {
  const dimensions = new Message();
  for (const dimension of shape) {
    const one = new Message();
    dimensions.message(1, typeof dimension === 'number' ? one.int(1, dimension) : one.string(2, dimension));
  }
  const tensor = new Message().int(1, dataTypes[type]).message(2, dimensions);
  return new Message().string(1, name).message(2, new Message().message(1, tensor));
}

/** The bytes of a model file with this graph, ready for an inference session. */
export function encodeOnnxModel(graph: OnnxGraph): Uint8Array {
  const message = new Message();
  for (const node of graph.nodes) message.message(1, encodeNode(node));
  message.string(2, graph.name);
  for (const [name, constant] of Object.entries(graph.constants ?? {}))
    message.message(5, encodeConstant(name, constant));
  for (const [name, spec] of Object.entries(graph.inputs)) message.message(11, encodeValue(name, spec));
  for (const [name, spec] of Object.entries(graph.outputs)) message.message(12, encodeValue(name, spec));
  return new Message()
    .int(1, IR_VERSION)
    .string(2, 'koine')
    .message(7, message)
    .message(8, new Message().string(1, '').int(2, OPERATOR_SET))
    .finish();
}

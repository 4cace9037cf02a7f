/**
 * Writes small WebAssembly modules as bytes: loops over vectors of numbers that are too irregular for a matrix kernel and that a JavaScript
 * engine runs one number at a time. Covers what those loops need of https://webassembly.github.io/spec/core/binary/instructions.html, the
 * source of all numbers below; 128-bit vectors are part of every Node that koine runs on.
 */

/** Instructions in their binary form; those of an expression leave its value on the stack. */
export type Code = readonly number[];

/** i32, also for addresses in bytes; f64; v128, four i32 or two f64. */
export type ValueType = 'i32' | 'f64' | 'v128';

/** Magic number and version. */
const HEADER = [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
const valueTypes = { i32: 0x7f, f64: 0x7c, v128: 0x7b } as const;
const NO_VALUE = 0x40;
const PAGE_BYTES = 65536;

/** A parameter or local variable of a function. */
export interface Variable {
  get: Code;
  set: (value: Code) => Code;
  /** Adds a constant to an i32. */
  advance: (by: number) => Code;
}

/** Parameters or locals of one type, their names apart by spaces. */
export function variables(type: ValueType, names: string): Record<string, ValueType> {
  return Object.fromEntries(names.split(' ').map((name) => [name, type]));
}

/** A function of a module. */
export interface WasmFunction {
  parameters: Readonly<Record<string, ValueType>>;
  locals: Readonly<Record<string, ValueType>>;
  result?: ValueType;
  /** The instructions, from the parameters and locals by name. */
  body: (variables: Readonly<Record<string, Variable>>) => readonly Code[];
}

const binary =
  (...opcode: number[]) =>
  (a: Code, b: Code): Code => [...a, ...b, ...opcode];

/** A load of `bytes` = 2^align from an address. */
const load =
  (align: number, ...opcode: number[]) =>
  (address: Code, offset = 0): Code => [...address, ...opcode, align, ...unsigned(offset)];

const store =
  (align: number, ...opcode: number[]) =>
  (address: Code, value: Code, offset = 0): Code => [...address, ...value, ...opcode, align, ...unsigned(offset)];

/** Instructions on i32. */
export const i32 = {
  constant: (value: number): Code => [0x41, ...signed(value)],
  add: binary(0x6a),
  multiply: binary(0x6c),
  shiftLeft: binary(0x74),
  below: binary(0x49),
  load: load(2, 0x28),
};

/** Instructions on f64. */
export const f64 = { add: binary(0xa0), multiply: binary(0xa2), store: store(3, 0x39) };

/** Instructions on vectors of four i32. */
export const i32x4 = {
  load: load(4, 0xfd, 0x00),
  /** One number from memory in all places. */
  loadSplat: load(2, 0xfd, 0x09),
  /** All bits set where equal, which is -1. */
  equal: binary(0xfd, 0x37),
  or: binary(0xfd, 0x50),
  subtract: binary(0xfd, 0xb1, 0x01),
  sum: (vector: Code) => [0, 1, 2, 3].map((at): Code => [...vector, 0xfd, 0x1b, at]).reduce((a, b) => i32.add(a, b)),
};

/** Instructions on vectors of two f64. */
export const f64x2 = {
  load: load(4, 0xfd, 0x00),
  loadSplat: load(3, 0xfd, 0x0a),
  /** One f64 in both places. */
  splat: (value: Code): Code => [...value, 0xfd, 0x14],
  store: store(4, 0xfd, 0x0b),
  add: binary(0xfd, 0xf0, 0x01),
  subtract: binary(0xfd, 0xf1, 0x01),
  multiply: binary(0xfd, 0xf2, 0x01),
  sum: (vector: Code): Code => f64.add([...vector, 0xfd, 0x21, 0], [...vector, 0xfd, 0x21, 1]),
  zero: [0xfd, 0x0c, ...Array<number>(16).fill(0)] as Code,
};

/** Runs the body once and again while the condition, an i32, is not 0. */
export function repeatWhile(condition: Code, ...body: readonly Code[]): Code {
  return [0x03, NO_VALUE, ...body.flat(), ...condition, 0x0d, 0, 0x0b];
}

/** An instance of a module with functions over a memory of its own. */
export class WasmKernel<Name extends string> {
  readonly call: Readonly<Record<Name, (...values: number[]) => number>>;
  private readonly memory = new WebAssembly.Memory({ initial: 1 });

  constructor(functions: Readonly<Record<Name, WasmFunction>>) {
    const module = new WebAssembly.Module(encodeWasmModule(functions));
    this.call = new WebAssembly.Instance(module, { koine: { memory: this.memory } }).exports;
  }

  /** The memory, of at least so many bytes; earlier results of this call are empty once it has grown. */
  reserve(bytes: number): ArrayBuffer {
    const missing = bytes - this.memory.buffer.byteLength;
    if (missing > 0) this.memory.grow(Math.ceil(missing / PAGE_BYTES));
    return this.memory.buffer;
  }
}

/** The bytes of a module that exports the functions and imports `koine.memory`. */
export function encodeWasmModule(functions: Readonly<Record<string, WasmFunction>>): Uint8Array {
  const named = Object.entries(functions);
  const types = named.map(([, { parameters, result }]) => [
    0x60,
    ...list(Object.values(parameters).map((type) => [valueTypes[type]])),
    ...list(result ? [[valueTypes[result]]] : []),
  ]);
  const memory = [...text('koine'), ...text('memory'), 0x02, 0x00, 1];
  return Uint8Array.from([
    ...HEADER,
    ...section(1, list(types)),
    ...section(2, list([memory])),
    ...section(3, list(named.map((_, at) => unsigned(at)))),
    ...section(7, list(named.map(([name], at) => [...text(name), 0x00, ...unsigned(at)]))),
    ...section(10, list(named.map(([, one]) => sized(encodeBody(one))))),
  ]);
}

function encodeBody({ parameters, locals, body }: WasmFunction): Code {
  const variables = Object.fromEntries(
    Object.keys({ ...parameters, ...locals }).map((name, at): [string, Variable] => {
      const get = [0x20, ...unsigned(at)];
      const set = (value: Code) => [...value, 0x21, ...unsigned(at)];
      return [name, { get, set, advance: (by) => set(i32.add(get, i32.constant(by))) }];
    }),
  );
  const declared = list(Object.values(locals).map((type) => [1, valueTypes[type]]));
  return [...declared, ...body(variables).flat(), 0x0b];
}

function section(id: number, content: Code): Code {
  return [id, ...sized(content)];
}

function sized(content: Code): Code {
  return [...unsigned(content.length), ...content];
}

function list(items: readonly Code[]): Code {
  return [...unsigned(items.length), ...items.flat()];
}

function text(value: string): Code {
  return sized([...new TextEncoder().encode(value)]);
}

/** LEB128. */
function unsigned(value: number): Code {
  return value < 128 ? [value] : [(value & 127) | 128, ...unsigned(value >>> 7)];
}

function signed(value: number): Code {
  return value >= -64 && value < 64 ? [value & 127] : [(value & 127) | 128, ...signed(value >> 7)];
}

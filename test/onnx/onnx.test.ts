import { expect, test } from 'vitest';
import { floatArrays, opsetOf } from '../../onnx/reader.js';
import { encodeOnnxModel } from '../../onnx/writer.js';

test('a constant whose shape and data disagree is refused by name', () => {
  const graph = {
    name: 'g',
    inputs: {},
    outputs: {},
    nodes: [],
    constants: { w: { shape: [3], data: Float32Array.of(1) } },
  };
  expect(() => encodeOnnxModel(graph)).toThrow("constant 'w' has 1 values; its shape [3] needs 3");
});

test('float arrays are found in initialisers and Constant nodes, and nowhere else', () => {
  const onnx = encodeOnnxModel({
    name: 'arrays',
    inputs: { x: { type: 'float32', shape: ['n'] } },
    outputs: { y: { type: 'float32', shape: ['n'] } },
    constants: {
      single: { shape: [3], data: Float32Array.of(1, 2, 3) },
      double: { shape: [2], data: Float64Array.of(4, 5) },
      whole: { shape: [2], data: BigInt64Array.of(6n, 7n) },
    },
    nodes: [{ op: 'Add', inputs: ['x', 'x'], outputs: ['y'] }],
  });
  expect([...floatArrays(onnx)].map(({ count, width }) => [count, width])).toEqual([
    [3, 4],
    [2, 8],
  ]);
  const [first] = floatArrays(onnx);
  expect(new DataView(onnx.buffer, onnx.byteOffset).getFloat32(first.start + 4, true)).toBe(2);
});

test('the operator set of a file is that of the default domain', () => {
  expect(opsetOf(encodeOnnxModel({ name: 'empty', inputs: {}, outputs: {}, nodes: [] }))).toBe(17);
  const foreign = Uint8Array.of(0x42, 5, 0x0a, 1, 0x78, 0x10, 9); // opset_import { domain: "x", version: 9 }
  expect(opsetOf(foreign)).toBeNull();
  expect(opsetOf(Uint8Array.of(...foreign, 0x42, 2, 0x10, 21))).toBe(21);
});

test.each([
  ['cut short', Uint8Array.of(0x42, 9, 0)],
  ['a number without end', new Uint8Array(12).fill(0x80)],
  ['another format', new TextEncoder().encode('ovel')],
])('bytes that are no protobuf message are refused: %s', (_, bytes) => {
  expect(() => opsetOf(bytes)).toThrow(/onnx\/reader/);
});

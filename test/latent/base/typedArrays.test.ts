import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeArrays, encodeArrays } from '../../../latent/base/typedArrays.js';

test('arrays come back as they were, whatever their types and lengths', () => {
  const array = fc.oneof(fc.float64Array(), fc.float32Array(), fc.int32Array());
  fc.assert(
    fc.property(fc.dictionary(fc.string(), array, { maxKeys: 5 }), (arrays) => {
      expect(decodeArrays('kind', encodeArrays('kind', arrays))).toEqual({ ...arrays });
    }),
  );
});

test('bytes are those that are written down: a line, then numbers from a multiple of 8 on', () => {
  const bytes = encodeArrays('pair', { a: Float64Array.of(1, 2), b: Int32Array.of(3) });
  const line = '{"record":"pair","fields":[["a",2],["b",1,"int32"]]}'.padEnd(55) + '\n';
  const numbers = new Uint8Array(24);
  new DataView(numbers.buffer).setFloat64(0, 1, true);
  new DataView(numbers.buffer).setFloat64(8, 2, true);
  new DataView(numbers.buffer).setInt32(16, 3, true);
  expect(Buffer.from(bytes)).toEqual(Buffer.concat([Buffer.from(line), numbers]));
});

test('bytes of another kind, cut short or too long are refused', () => {
  const bytes = encodeArrays('pair', { a: Float64Array.of(1, 2), b: Int32Array.of(3) });
  expect(() => decodeArrays('triple', bytes)).toThrow('hold a record of pair; wanted triple');
  expect(() => decodeArrays('pair', bytes.subarray(0, 72))).toThrow('has 72 bytes; its header needs 80');
  expect(() => decodeArrays('pair', Buffer.concat([bytes, bytes]))).toThrow('has 160 bytes; its header needs 80');
  expect(() => decodeArrays('pair', new TextEncoder().encode('PAR1'))).toThrow('hold no record; wanted pair');
});

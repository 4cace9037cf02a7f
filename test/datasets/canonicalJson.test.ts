import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonicalJson } from '../../datasets/canonicalJson.js';
import { digestJson, sha256Hex } from '../../datasets/digest.js';

describe('canonical JSON', () => {
  test('is one text whatever the order of keys', () => {
    expect(canonicalJson({ b: [1, { y: null, x: true }], a: 'é\n"' })).toBe(
      '{"a":"é\\n\\"","b":[1,{"x":true,"y":null}]}',
    );
    expect(canonicalJson({ '\u{1F600}': 1, '\uFF5E': 2 })).toBe('{"\uFF5E":2,"\u{1F600}":1}');
    expect(digestJson({ b: 1, a: 2 })).toBe(digestJson({ a: 2, b: 1 }));
    expect(digestJson({ a: 1 })).toBe(sha256Hex('{"a":1}'));
  });

  test('writes numbers in their shortest form that reads back, and -0 as 0', () => {
    expect(canonicalJson([0.1 + 0.2, 1e21, 5e-324, -0, 100])).toBe('[0.30000000000000004,1e+21,5e-324,0,100]');
  });

  test('reads back as the same value, always to the same text', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = canonicalJson(value);
        expect(canonicalJson(JSON.parse(text))).toBe(text);
      }),
    );
  });

  test.each([
    ['undefined', { a: { b: undefined } }, /\$\.a\.b is undefined/],
    ['NaN', [1, NaN], /\$\[1\] is NaN/],
    ['infinity', { a: -Infinity }, /-Infinity/],
    ['a Map', { a: new Map() }, /a Map/],
    ['a typed array', new Float32Array(2), /a Float32Array/],
    ['a bigint', 1n, /bigint/],
    ['a lone surrogate', 'x\ud800', /lone surrogate/],
  ])('refuses %s and says where', (_, value, message) => {
    expect(() => canonicalJson(value)).toThrow(message);
  });
});

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compareCodePoints } from '../../text/codePoints.js';
import { closestFirst, editDistance } from '../../text/editDistance.js';

test('code-point order is the order of UTF-8 bytes', () => {
  const string = fc.string({
    unit: fc.constantFrom('a', 'b', '\uD7FF', '\uE000', '\uFFFF', '\u{10000}', '\u{1F600}', '\0', 'é'),
  });
  fc.assert(
    fc.property(string, string, (a, b) => {
      expect(Math.sign(compareCodePoints(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
    }),
  );
});

test.each([
  ['', '', 0],
  ['anchor', 'anchors', 1],
  ['kitten', 'sitting', 3],
  ['ab', 'ba', 2],
  ['', 'abc', 3],
])('from %j to %j it takes %d letters', (a, b, distance) => {
  expect(editDistance(a, b)).toBe(distance);
  expect(editDistance(b, a)).toBe(distance);
});

test('what was most likely meant comes first, ties in code-point order', () => {
  expect(closestFirst('mace-s', ['orb', 'mace-m', 'mace-l', 'mace-s2'])).toEqual([
    'mace-l',
    'mace-m',
    'mace-s2',
    'orb',
  ]);
});

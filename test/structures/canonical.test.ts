import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalStructure, type RawStructure } from '../../structures/canonical.js';
import { closestContact } from '../../structures/closestContact.js';
import { atomicNumberOf, elementOfSpecies, elementSymbol } from '../../structures/elements.js';
import { reducedFormula } from '../../structures/formula.js';
import type { Structure } from '../../structures/structure.js';

const cubic = [4, 0, 0, 0, 4, 0, 0, 0, 4];
const raw = (changes: Partial<RawStructure>): RawStructure => ({
  materialId: 'm',
  source: 's',
  lattice: cubic,
  species: ['Na', 'Cl'],
  fractional: [0, 0, 0, 0.5, 0.5, 0.5],
  ...changes,
});
const accepted = (changes: Partial<RawStructure>): Structure => {
  const item = canonicalStructure(raw(changes));
  if (!('structure' in item)) throw new Error(item.rejection.message);
  return item.structure;
};

test('fractional coordinates are wrapped into [0, 1), also those a rounding error below 0', () => {
  const { fractionalCoordinates } = accepted({ fractional: [-1e-17, -0, 1, 2.5, -0.25, 0.5] });
  expect([...fractionalCoordinates]).toEqual([0, 0, 0, 0.5, 0.75, 0.5]);
  expect(Object.is(fractionalCoordinates[1], 0)).toBe(true);
});

test('any finite coordinate is wrapped into [0, 1)', () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, min: -1e12, max: 1e12 }), (x) => {
      const { fractionalCoordinates } = accepted({ species: ['H'], fractional: [x, 0, 0] });
      expect(fractionalCoordinates[0]).toBeGreaterThanOrEqual(0);
      expect(fractionalCoordinates[0]).toBeLessThan(1);
    }),
  );
});

test('Cartesian positions become fractional in an oblique, left-handed cell; atom order is kept', () => {
  const lattice = [3, 1, 0, 0, 4, 1, 1, 0, -5];
  const at = (u: number, v: number, w: number) =>
    [0, 1, 2].map((k) => u * lattice[k] + v * lattice[3 + k] + w * lattice[6 + k]);
  const structure = accepted({
    lattice,
    fractional: undefined,
    species: ['O', 'D', 92],
    cartesian: [...at(0.1, 0.2, 0.3), ...at(0.6, 0.7, 0.8), ...at(0.9, 0.4, 0.1)],
  });
  expect([...structure.atomicNumbers]).toEqual([8, 1, 92]);
  [0.1, 0.2, 0.3, 0.6, 0.7, 0.8, 0.9, 0.4, 0.1].forEach((x, i) =>
    expect(structure.fractionalCoordinates[i]).toBeCloseTo(x, 14),
  );
});

test.each<[string, Partial<RawStructure>, RegExp]>([
  ['empty', { species: [], fractional: [] }, /no atoms/],
  ['unparsable', { fractional: [0, 0, 0] }, /3 coordinates for 2 atoms; 6 are needed/],
  ['unparsable', { lattice: [1, 2, 3] }, /3 lattice numbers/],
  ['unknown_element', { species: ['Na', 'X'] }, /'X' at site 1 is not an element/],
  ['unknown_element', { species: [0, 11] }, /'0' at site 0/],
  ['unknown_element', { species: ['Na', 119] }, /1\.\.118/],
  ['non_finite', { lattice: [4, 0, 0, 0, NaN, 0, 0, 0, 4] }, /lattice vector b has the component NaN/],
  ['non_finite', { fractional: [0, 0, 0, 0, Infinity, 0] }, /coordinate y of site 1 is Infinity/],
  ['singular_cell', { lattice: [1, 0, 0, 0, 1, 0, 1, 1, 0] }, /span no volume/],
  ['singular_cell', { lattice: [0, 0, 0, 0, 1, 0, 0, 0, 1] }, /span no volume/],
  [
    'atoms_too_close',
    { fractional: [0, 0, 0, 0.99, 0, 0] },
    /Na \(site 0\) and Cl \(site 1\) are 0\.04 Å apart; at least 0\.804 Å/,
  ],
  ['atoms_too_close', { lattice: [0.3, 0, 0, 0, 4, 0, 0, 0, 4] }, /its own image are 0\.3 Å apart/],
])('%s: %o', (code, changes, message) => {
  const item = canonicalStructure(raw(changes));
  if (!('rejection' in item)) throw new Error('accepted');
  expect(item.rejection).toMatchObject({ materialId: 'm', source: 's', code });
  expect(item.rejection.message).toMatch(message);
});

test('the size limit is a parameter that the message names', () => {
  const fractional = [0, 0, 0, 0.5, 0.5, 0.5];
  expect(canonicalStructure(raw({ fractional }), { maxAtoms: 2 })).toHaveProperty('structure');
  const item = canonicalStructure(raw({ fractional }), { maxAtoms: 1 });
  expect(item).toMatchObject({ rejection: { code: 'too_large', message: '2 atoms; at most 1 are accepted' } });
});

test('messages have at most 500 printable characters', () => {
  const item = canonicalStructure(raw({ species: ['Na', `\u001b[2J${'x'.repeat(1000)}`] }));
  if (!('rejection' in item)) throw new Error('accepted');
  expect(item.rejection.message.length).toBe(500);
  expect(item.rejection.message).not.toMatch(/\p{Cc}/u);
});

test('the closest contact equals a search through all images, in any cell', () => {
  const component = fc.integer({ min: -300, max: 300 }).map((x) => x / 100);
  const cells = fc.array(component, { minLength: 9, maxLength: 9 }).filter((l) => {
    const [a, b, c, d, e, f, g, h, i] = l;
    return Math.abs(a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)) > 0.5;
  });
  const positions = fc.array(
    fc.integer({ min: 0, max: 999 }).map((x) => x / 1000),
    { minLength: 6, maxLength: 6 },
  );
  const shears = fc.array(fc.integer({ min: -6, max: 6 }), { minLength: 3, maxLength: 3 });
  fc.assert(
    fc.property(cells, positions, shears, (lattice, fractional, [p, q, r]) => {
      // The same lattice with sheared vectors, and the same atoms in it.
      const row = (i: number) => lattice.slice(3 * i, 3 * i + 3);
      const plus = (u: number[], v: number[], factor: number) => u.map((x, k) => x + factor * v[k]);
      const sheared = [row(0), plus(row(1), row(0), p), plus(plus(row(2), row(0), q), row(1), r)].flat();
      const moved = [0, 3].flatMap((at) => {
        const [u, v, w] = fractional.slice(at, at + 3);
        // u a + v b + w c in the sheared basis: c' = c + q a + r b, b' = b + p a.
        const v2 = v - r * w;
        return [u - q * w - p * v2, v2, w];
      });
      let least = Infinity;
      const range = 8;
      for (let a = -range; a <= range; a++)
        for (let b = -range; b <= range; b++)
          for (let c = -range; c <= range; c++)
            for (const [i, j] of [
              [0, 0],
              [0, 1],
            ]) {
              if (i === j && a === 0 && b === 0 && c === 0) continue;
              const s = [a, b, c].map((n, k) => fractional[3 * j + k] - fractional[3 * i + k] + n);
              least = Math.min(
                least,
                Math.hypot(...[0, 1, 2].map((k) => s[0] * lattice[k] + s[1] * lattice[3 + k] + s[2] * lattice[6 + k])),
              );
            }
      const contact = closestContact(sheared, moved, 1.5);
      if (least < 1.5 - 1e-9) expect(contact?.distance).toBeCloseTo(least, 9);
      else if (least > 1.5 + 1e-9) expect(contact).toBeUndefined();
    }),
    { numRuns: 60 },
  );
});

test.each([
  ['Fe', 26],
  ['Fe3+', 26],
  ['O2-', 8],
  ['Ni0+,spin=5', 28],
  ['CL', 17],
  ['cl', 17],
  ['Si1', 14],
  ['D', 1],
  ['T', 1],
  ['OH1', undefined],
  ['2H', 1],
  ['Fe+3', 26],
  ['Fe2+/Fe3+', 26],
  ['FeNi', undefined],
  ['Fe/Ni', undefined],
  ['VAC', undefined],
  ['VA', undefined],
  ['BQ', undefined],
  ['DUM', undefined],
  ['NH4', undefined],
  ['H.5', undefined],
  ['Co1', 27],
  ['Wat', undefined],
  ['Vac', undefined],
  ['X', undefined],
  ['', undefined],
  ['1', undefined],
  ['Xx', undefined],
])('species %s is element %s', (label, element) => expect(elementOfSpecies(label)).toBe(element));

test('symbols and atomic numbers are inverse for all 118 elements', () => {
  for (let z = 1; z <= 118; z++) expect(atomicNumberOf(elementSymbol(z))).toBe(z);
  expect(() => elementSymbol(0)).toThrow(RangeError);
  expect(() => elementSymbol(119)).toThrow(RangeError);
});

test.each([
  [[11, 17, 11, 17], 'ClNa'],
  [[13, 13, 13, 28, 72], 'Al3HfNi'],
  [[8, 8, 1, 1, 1, 1], 'H2O'],
  [[6], 'C'],
  [[], ''],
])('formula of %j is %s', (numbers, formula) => expect(reducedFormula(numbers)).toBe(formula));

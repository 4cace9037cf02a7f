import { readFileSync, readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { CATALOG_FILE, catalogEntry, catalogSchema, FAMILIES, readModelCatalog } from '../../models/catalog.js';
import { parseCard, ModelRefused } from '../../models/card.js';
import { describeShared, sharedPath } from '../support/shared.js';

const catalog = readModelCatalog();
const raw = JSON.parse(readFileSync(CATALOG_FILE, 'utf8')) as Record<string, unknown>[];

test('the catalog has at least 25 potentials of all families, and the seven of the paper', () => {
  expect(catalog.length).toBeGreaterThanOrEqual(25);
  expect(new Set(catalog.map(({ family }) => family))).toEqual(new Set(FAMILIES));
  expect(catalog.filter(({ paper }) => paper).map(({ id }) => id)).toEqual([
    'mace-mp-0-small',
    'mace-mp-0-medium',
    'mace-mp-0-large',
    'mace-omat-0-medium',
    'sevennet-omat',
    'orb-v3-conservative-inf-omat',
    'orb-v3-direct-inf-omat',
  ]);
});

test('elements are given as ranges', () => {
  expect(catalogEntry('chgnet-0.3.0').elements).toHaveLength(89);
  expect(catalogEntry('chgnet-0.3.0').elements.slice(-2)).toEqual([93, 94]);
});

test.each<[string, Record<string, unknown>]>([
  ['an unknown field', { colour: 'red' }],
  ['an unknown family', { family: 'schnet' }],
  ["an environment that is not its family's", { environment: 'matgl' }],
  ['elements that descend', { elements: '89-94,1-83' }],
  ['elements beyond the table', { elements: '1-119' }],
  ['half a digest', { weights_sha256: 'abc' }],
  ['a licence without commercial use that nobody has to accept', { commercial_use: false }],
])('%s is refused', (_, change) => {
  expect(catalogSchema.safeParse([{ ...raw[0] }]).success).toBe(true);
  expect(catalogSchema.safeParse([{ ...raw[0], ...change }]).success).toBe(false);
});

test('an id twice is refused', () => {
  expect(catalogSchema.safeParse([raw[0], raw[0]]).error?.issues[0]?.message).toMatch(/is there twice/);
});

test('an unknown id is answered with the nearest ones', () => {
  expect(() => catalogEntry('chgnet-0.3')).toThrow(ModelRefused);
  expect(() => catalogEntry('chgnet-0.3')).toThrow(/nearest are chgnet-0\.[23]\.0, chgnet-0\.[23]\.0, /);
});

test('lineages name models of the catalog or a network with several modalities', () => {
  const ids = new Set(catalog.map(({ id }) => id));
  const others = new Set(catalog.map(({ lineage }) => lineage).filter((lineage) => !ids.has(lineage)));
  for (const lineage of others)
    expect(catalog.filter((entry) => entry.lineage === lineage).length, lineage).toBeGreaterThan(1);
});

describeShared('cards of models exported before', () => {
  test('agree with the catalog', () => {
    const seen = readdirSync(sharedPath('models')).filter(
      (name) => !name.includes('random') && !name.includes('extxyz'),
    );
    expect(seen).toHaveLength(13);
    for (const id of seen) {
      const card = parseCard(JSON.parse(readFileSync(sharedPath(`models/${id}/card.json`), 'utf8')), id);
      const entry = catalogEntry(id);
      expect(entry, id).toMatchObject({
        elements: card.elements,
        equivariant: card.equivariant,
        conservative: card.conservative,
        weights_sha256: card.weights_sha256,
        licence: card.licence,
      });
      expect(entry.family).toBe(card.family.toLowerCase());
    }
  });
});

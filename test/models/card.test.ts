import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { ModelRefused, parseCard } from '../../models/card.js';
import { describeShared, sharedPath } from '../support/shared.js';
import { tinyCard, tinyNetwork } from './tinyNetwork.js';

const card = tinyCard(tinyNetwork());
const lineGraphInputs = {
  ...(card['inputs'] as object),
  edge_to_bond: { type: 'int64', shape: ['n_edges'] },
  bond_to_edge: { type: 'int64', shape: ['n_bonds'] },
  angle_index: { type: 'int64', shape: [2, 'n_angles'] },
};

describe('parseCard', () => {
  test('fills in the fields that came after the first cards', () => {
    expect(parseCard(card, 'here')).toMatchObject({
      schema_version: 2,
      lineage: 'tiny',
      control: 'random-weights',
      invariance: null,
      training: null,
    });
  });

  test('brings a card of version 1 up to date', () => {
    const derivation = { parent: 'a', parent_onnx_sha256: '0'.repeat(64), operation: 'fine-tune', seed: null };
    const old = {
      ...card,
      schema_version: 1,
      random_weights: false,
      energy_convention: { quantity: 'total', atomic_offsets_included: true },
      lineage: derivation,
    };
    expect(parseCard(old, 'here')).toMatchObject({
      schema_version: 2,
      energy_convention: 'total energy, eV, atomic offsets included',
      lineage: 'a',
      derived_from: derivation,
      control: null,
    });
    expect(parseCard({ ...old, lineage: { ...derivation, operation: 'weight-shuffle' } }, 'here').lineage).toBe('tiny');
  });

  test.each<[string, Record<string, unknown>, RegExp]>([
    ['a misspelt field', { max_neighbors: 3 }, /max_neighbors: unknown field/],
    ['a missing field', { max_neighbours: undefined }, /max_neighbours is missing/],
    ['a cutoff of zero', { cutoff_angstrom: 0 }, /cutoff_angstrom is 0: give the neighbour cutoff in Å/],
    ['an element beyond the table', { elements: [1, 119] }, /elements\.1 is 119: atomic numbers end at 118/],
    ['no elements', { elements: [] }, /elements is \[\]: list the atomic numbers/],
    ['an element twice', { elements: [1, 1] }, /elements is \[1,1\]: list each atomic number once/],
    ['an opset without ScatterND(add)', { opset: 13 }, /opset is 13: export with opset 16 to 23/],
    ['more than one thread', { intra_op_threads: 4 }, /intra_op_threads is 4: .*data race/],
    [
      'a version of the future',
      { schema_version: 3 },
      /schema_version is 3: this koine reads cards of versions 1 and 2/,
    ],
    ['an unknown control', { control: 'none' }, /control is "none": one of one-hot, random-element/],
    ['shuffled weights that are not random', { control: 'shuffled', random_weights: false }, /random_weights is false/],
    ['half a digest', { onnx_sha256: 'abc' }, /onnx_sha256 is "abc": give the SHA-256 as 64/],
    [
      'an input koine cannot give',
      { inputs: { ...(card['inputs'] as object), cell: { type: 'float32', shape: [3, 3] } } },
      /koine can give a network only atomic_numbers/,
    ],
    [
      'an input of another type',
      { inputs: { ...(card['inputs'] as object), edge_index: { type: 'int64', shape: ['n_edges', 2] } } },
      /inputs\.edge_index is .*: koine gives int64 \[2, n_edges\]/,
    ],
    ['no atoms', { inputs: {} }, /inputs\.atomic_numbers is missing/],
    [
      'another width than embedding.dim',
      { embedding: { layer: 'x', dim: 5, invariant: true } },
      /outputs\.node_embedding is .*must be float32 \[n_atoms, 5\], as embedding\.dim says/,
    ],
    ['a line graph without angle cutoff', { inputs: lineGraphInputs }, /angle_cutoff_angstrom is null: give it in Å/],
    [
      'a line graph with capped neighbours',
      { inputs: lineGraphInputs, angle_cutoff_angstrom: 3, max_neighbours: 120 },
      /max_neighbours is 120: must be null/,
    ],
    ['an id that is no folder name', { id: '../up' }, /id is "\.\.\/up": use lower-case letters/],
  ])('refuses %s, naming field, value and remedy', (_, change, message) => {
    const changed = JSON.parse(JSON.stringify({ ...card, ...change })) as unknown;
    expect(() => parseCard(changed, 'store/tiny/card.json')).toThrow(ModelRefused);
    expect(() => parseCard(changed, 'store/tiny/card.json')).toThrow(message);
    expect(() => parseCard(changed, 'store/tiny/card.json')).toThrow('store/tiny/card.json');
  });

  test('names every wrong field at once', () => {
    expect(() => parseCard({ ...card, opset: 3, elements: [0] }, 'x')).toThrow(/elements\.0 is 0.*opset is 3/);
  });

  test.each([[null], ['text'], [[]]])('refuses %j, which is no card', (json) => {
    expect(() => parseCard(json, 'x')).toThrow(/the card is/);
  });
});

describeShared('real cards', () => {
  test('all sixteen parse as they lie there', () => {
    const ids = readdirSync(sharedPath('models'), { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() ? [entry.name] : [],
    );
    expect(ids).toHaveLength(16);
    for (const id of ids) {
      const path = sharedPath(`models/${id}/card.json`);
      expect(parseCard(JSON.parse(readFileSync(path, 'utf8')), path).id).toBe(id);
    }
  });
});

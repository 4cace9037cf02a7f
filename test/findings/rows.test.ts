import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { StructureRow } from '../../datasets/tables/structures.js';
import { referencePython } from '../support/python.js';
import { MODELS, publishRun } from './publishedRuns.js';

const script = fileURLToPath(new URL('../../findings/rows.py', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'koine-findings-rows-'));
afterAll(() => rm(folder, { recursive: true, force: true }));

function structure(
  materialId: string,
  formula: string,
  source: string,
  atoms: number[],
  orbits: number[],
): StructureRow {
  const n = atoms.length;
  return {
    ...{ materialId, structureHash: materialId, formula, source, atomicNumbers: Uint8Array.from(atoms) },
    ...{ lattice: Float64Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1), fractionalCoordinates: new Float64Array(3 * n) },
    ...{ spaceGroup: 1, orbits: Int32Array.from(orbits) },
  };
}

/** 6 hot frames of 3 formulas; 8 crystals of 4, the first with 6 orbits of 3 elements, one of them of two atoms. */
const rich = [
  [8, 8, 8, 26, 26, 8, 11],
  [0, 0, 2, 3, 4, 5, 6],
] as const;
const hot = Array.from({ length: 6 }, (_, i) =>
  structure(
    `hot-${i}`,
    `Hot${i % 3}`,
    `${['mpf-TP', 'mpf-alkali-TP', 'random-TP'][i % 3]}.xyz.gz:${i}`,
    [3, 3],
    [0, 1],
  ),
);
const cold = Array.from({ length: 8 }, (_, i) =>
  structure(`cold-${i}`, `Cold${i % 4}`, `mp20_subset.csv.gz:${i}`, [...rich[0]], [...rich[1]]),
);
const others = [structure('other', 'Other', 'alexandria.xyz.gz:1', [1], [0])];

/** Atoms by structure of both lists. */
async function lists(name: string, structures: StructureRow[]): Promise<Record<string, Map<string, number[]>>> {
  const output = join(folder, name);
  const ordered = [...structures].sort((a, b) => (a.materialId < b.materialId ? -1 : 1));
  await publishRun(output, 'findings', {}, { models: MODELS, structures: ordered });
  await promisify(execFile)(referencePython(), [script, output, join(output, 'lists')]);
  return Object.fromEntries(
    ['equilibrium', 'extreme'].map((list) => {
      const atoms = new Map<string, number[]>();
      for (const line of readFileSync(join(output, 'lists', `${list}.txt`), 'utf8')
        .trimEnd()
        .split('\n')) {
        const [id, atom] = line.split(':');
        atoms.set(id, [...(atoms.get(id) ?? []), Number(atom)]);
      }
      return [list, atoms];
    }),
  );
}

let all: Record<string, Map<string, number[]>>;
beforeAll(async () => {
  all = await lists('all', [...hot, ...cold, ...others]);
});

test('both lists hold the same number of structures, one a formula, of their own sources', () => {
  const formulas = (ids: Iterable<string>, known: StructureRow[]) =>
    [...ids].map((id) => known.find(({ materialId }) => materialId === id)!.formula);
  expect(formulas(all.extreme.keys(), hot).sort()).toEqual(['Hot0', 'Hot1', 'Hot2']);
  const crystals = formulas(all.equilibrium.keys(), cold);
  expect([crystals.length, new Set(crystals).size]).toEqual([3, 3]);
});

test('of a structure up to four atoms of different orbits, every element before a second atom of one', () => {
  // O 0 (and 1 of its orbit), O 2, Fe 3, Fe 4, O 5, Na 6: the first of each element, then the second O
  for (const atoms of all.equilibrium.values()) expect(atoms).toEqual([0, 2, 3, 6]);
  for (const atoms of all.extreme.values()) expect(atoms).toEqual([0, 1]);
});

test('what is in a list does not change with what else is in the snapshot', async () => {
  expect(await lists('fewer', [...hot, ...cold])).toEqual(all);
  const chosen = [...all.equilibrium.keys()];
  const without = await lists('without', [...hot, ...cold.filter(({ materialId }) => materialId !== chosen[0])]);
  expect([...without.equilibrium.keys()].filter((id) => chosen.includes(id))).toEqual(chosen.slice(1));
  expect(without.extreme).toEqual(all.extreme);
});

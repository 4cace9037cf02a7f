import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BasisRecord } from '../../datasets/basis.js';
import { pointRun } from '../../datasets/catalog.js';
import { writeJson } from '../../datasets/json.js';
import * as keys from '../../datasets/keys.js';
import { openStore } from '../../datasets/store/open.js';
import type { ObjectStore } from '../../datasets/store/objectStore.js';
import { encodeAnchorVectors } from '../../datasets/tables/anchorVectors.js';
import { compareBases, describeBasis } from '../../workers/basisReport.js';

const DIGEST = 'a'.repeat(64);

describe('bases of a dataset', () => {
  let folder: string;
  let store: ObjectStore;

  /** Writes a basis of atoms of `material:0`, and model `m`'s embeddings of them. */
  async function basis(name: string, atomicNumbers: Record<string, number>, vectors: number[][]): Promise<string> {
    const record: BasisRecord = {
      basis: name,
      method: 'random',
      reference_model: 'm',
      anchors: Object.entries(atomicNumbers).map(([material_id, atomic_number]) => ({
        material_id,
        atom_index: 0,
        atomic_number,
      })),
      centre: 'none',
      snapshot: DIGEST.slice(0, 16),
      parameters: { seed: 1 },
    };
    await writeJson(store, keys.basisRecord(name), record);
    const bytes = encodeAnchorVectors({ vectors: Float32Array.from(vectors.flat()), dim: vectors[0].length });
    await store.put(keys.anchorVectors(name, 'm', DIGEST), bytes);
    return name;
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'koine-bases-'));
    store = openStore(folder);
    const digest = await basis('0'.repeat(16), { one: 11, two: 17, three: 17 }, [[1, 0], [0, 2], [0, 3]]); // prettier-ignore
    await basis('1'.repeat(16), { two: 17, four: 19 }, [[0, 5], [1, 1]]); // prettier-ignore
    await pointRun(store, 'run', { basis: { digest, method: 'random', anchors: 3, reference_model: 'm' } });
  });
  afterAll(() => rm(folder, { recursive: true }));

  test('are described by digest or by the run that pinned them', async () => {
    const report = await describeBasis(store, 'run');
    expect(report).toMatchObject({ basis: '0'.repeat(16), pinned_by: ['run'], elements: { Cl: 2, Na: 1 } });
    // Three directions of which two coincide: cosines [[1, 0, 0], [0, 1, 1], [0, 1, 1]], eigenvalues 2, 1, 0.
    expect(report!.models).toHaveLength(1);
    expect(report!.models[0]).toMatchObject({ model: 'm', dim: 2, condition: 1 / Number.EPSILON });
    expect(await describeBasis(store, '0'.repeat(16))).toEqual(report);
    expect((await describeBasis(store, '1'.repeat(16)))!.pinned_by).toEqual([]);
    expect(await describeBasis(store, 'elsewhere')).toBeUndefined();
  });

  test('are compared by atoms, elements and directions', async () => {
    expect(await compareBases(store, 'run', '1'.repeat(16))).toEqual({
      a: '0'.repeat(16),
      b: '1'.repeat(16),
      anchors: [3, 2],
      common: ['two:0'],
      only_in_a: ['Na'],
      only_in_b: ['K'],
      models: [
        {
          model: 'm',
          a_to_b: expect.closeTo((Math.SQRT1_2 + 1 + 1) / 3, 12) as number,
          b_to_a: expect.closeTo((1 + Math.SQRT1_2) / 2, 12) as number,
        },
      ],
    });
    expect(await compareBases(store, 'run', 'elsewhere')).toEqual({ unknown: 'elsewhere' });
  });
});

import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheFolder } from '../infra/cacheFolder.js';
import { matrix, takeRows, type Matrix } from '../latent/base/matrix.js';
import { cosinesToAnchors } from '../latent/basis/project.js';
import { seededRandom, shuffle } from '../latent/base/random.js';
import { InferencePool } from '../models/inferencePool.js';
import { ModelStore } from '../models/store.js';
import { readStructures } from '../structures/readers/read.js';
import { localSources } from '../structures/sources.js';
import type { Structure } from '../structures/structure.js';
import { sharedFolder } from './realStructures.js';

/** The two potentials of the figures in decision 0004. */
export const benchModels = ['sevennet-0-11jul2024', 'nequix-mp-1'] as const;
const STRUCTURES = 1400;
const ANCHORS = 100;

/** Coordinates of the same atoms in two models, float32 [atoms, 100], with their atomic numbers. */
export interface RealCoordinates {
  a: Matrix<Float32Array>;
  b: Matrix<Float32Array>;
  elements: Int32Array;
}

/**
 * Coordinates of some 15,000 atoms of real crystals in two potentials, in random order, about 100 random anchors. Computed once by koine's own
 * encoder (a minute on two cores) and kept in the cache folder.
 */
export async function realCoordinates(): Promise<RealCoordinates> {
  const folder = join(cacheFolder(), 'bench');
  const files = [...benchModels, 'elements'].map((name) => join(folder, `coordinates-${STRUCTURES}-${name}.bin`));
  if (!files.every((file) => existsSync(file))) {
    await mkdir(folder, { recursive: true });
    const arrays = await compute();
    for (const [at, array] of arrays.entries()) await writeFile(files[at], new Uint8Array(array.buffer));
  }
  const [a, b, elements] = await Promise.all(
    files.map(async (file) => {
      const bytes = await readFile(file);
      return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
    }),
  );
  const cloud = (buffer: ArrayBuffer) => matrix(new Float32Array(buffer), buffer.byteLength / 4 / ANCHORS, ANCHORS);
  return { a: cloud(a), b: cloud(b), elements: new Int32Array(elements) };
}

async function compute(): Promise<(Float32Array | Int32Array)[]> {
  const shared = sharedFolder();
  const structures: Structure[] = [];
  for await (const source of localSources(join(shared, 'data/mp20-subset/mp20_subset.csv.gz')))
    for await (const item of readStructures(source))
      if ('structure' in item && structures.length < STRUCTURES) structures.push(item.structure);
  const numbers = Int32Array.from(structures.flatMap((structure) => Array.from(structure.atomicNumbers)));
  const order = shuffle(Int32Array.from(numbers.keys()), seededRandom(1));
  const store = new ModelStore([join(shared, 'models')]);
  const pool = new InferencePool({ threads: 2, provider: 'cpu' });
  const coordinates: Float32Array[] = [];
  for (const id of benchModels) {
    console.log(`bench: embedding ${structures.length} structures with ${id} (once; kept in the cache folder)`);
    const { embedding, dim, rejections } = await pool.embed(await store.resolve(id), structures);
    if (rejections.length > 0)
      throw new Error(`bench: ${id} refuses structure ${rejections[0].index}: ${rejections[0].message}`);
    const rows = takeRows(matrix(embedding, numbers.length, dim), order);
    coordinates.push(await cosinesToAnchors(rows.data, rows.data.slice(0, ANCHORS * dim), dim));
  }
  await pool.close();
  return [...coordinates, Int32Array.from(order, (from) => numbers[from])];
}

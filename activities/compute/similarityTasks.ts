import { deserialize, serialize } from 'node:v8';
import type { RunSpec } from '../../config/runSpec.js';
import { digestJson, sha256Hex } from '../../datasets/digest.js';
import { finiteFloat64, matrix, takeRows, type Matrix } from '../../latent/base/matrix.js';
import { compareClouds } from '../../latent/similarity/comparePair.js';
import type { ComparedValue, CompareOptions } from '../../latent/similarity/measured.js';
import { prepareCloud, type CloudOptions, type CloudWork } from '../../latent/similarity/preparedCloud.js';
import { RowSet } from '../../latent/samples/rowSet.js';
import { elementStrata, type Stratum } from '../../latent/samples/strata.js';
import type { Space } from '../../config/names.js';

/** Rows of a draw, in the order of its sample. */
export interface DrawnRows {
  /** [n] Z. */
  atomicNumbers: Int32Array;
  /** [n] order in which the rows were taken: the first ones are those of a smaller sample. */
  places: Int32Array;
  /** Seed of what is random about them. */
  seed: number;
}

/** Vectors of the rows in one model, float32 [n, dim]. */
export interface Vectors {
  vectors: Float32Array;
  dim: number;
}

/** What is compared, of the spec. */
export type Asked = Pick<
  RunSpec['similarity'],
  'neighbours' | 'small_sample' | 'metrics' | 'nulls' | 'strata' | 'replicates'
>;

/** Values of one stratum of one space. */
export interface ComparedStratum {
  space: Space;
  /** Atomic number; 0 for all rows. */
  element: number;
  values: ComparedValue[];
}

/** The work on one cloud as bytes: all rows first, then the strata of the space. */
interface EncodedWork {
  works: CloudWork[];
}

/** All rows of a draw, or those of one element, with what is asked of them. */
interface Part extends Stratum {
  rowSet: RowSet;
  options: CloudOptions & CompareOptions;
}

const EVERY_ROW = 0;
/** Rows of draws kept with their permutations: 1.6 kB a row for 200 of either kind, and 1 kB for 1,000 resamples. */
const RECENT_ROWS = 24_000;

/** Tasks of the similarity stage for the compute threads. */
export const similarityTasks = {
  /** The work on one model's vectors that serves all its pairs: neighbours, sums, decompositions. */
  prepareCloud: async (task: { rows: DrawnRows; cloud: Vectors; space: Space; asked: Asked }): Promise<Uint8Array> => {
    const x = cloudOf(task.cloud);
    const works: CloudWork[] = [];
    for (const { rows, element, options } of partsOf(task.rows, task.space, task.asked))
      works.push((await prepareCloud(element === EVERY_ROW ? x : takeRows(x, rows), options)).work);
    return serialize({ works } satisfies EncodedWork);
  },

  /** All values of one draw of one pair; `works` are what `prepareCloud` made of the two clouds of each space. */
  compareDraw: async (task: {
    rows: DrawnRows;
    spaces: { space: Space; clouds: [Vectors, Vectors]; works: [Uint8Array, Uint8Array] }[];
    asked: Asked;
  }): Promise<ComparedStratum[]> => {
    const compared: ComparedStratum[] = [];
    const sets = rowSetsOf(task.rows, task.asked);
    for (const { space, clouds, works } of task.spaces) {
      const [x, y] = clouds.map(cloudOf);
      const [ofX, ofY] = works.map((bytes) => (deserialize(bytes) as EncodedWork).works);
      for (const [at, { rows, element, rowSet, options }] of partsOf(task.rows, space, task.asked).entries()) {
        const set = sets.get(element) ?? { all: rowSet, dense: rowSet.subset(options.denseRows) };
        sets.set(element, set);
        const part = (cloud: Matrix<Float64Array>) => (element === EVERY_ROW ? cloud : takeRows(cloud, rows));
        const [a, b] = [
          { x: part(x), work: ofX[at] },
          { x: part(y), work: ofY[at] },
        ];
        compared.push({ space, element, values: await compareClouds(a, b, set, options) });
      }
    }
    return compared;
  },
};

/** Rows with permutations and resamples of the draws compared last: they serve all spaces and, as pairs mostly have the same rows, the next pair. */
const recent = new Map<string, { n: number; sets: Map<number, { all: RowSet; dense: RowSet }> }>();

function rowSetsOf(
  { atomicNumbers, places, seed }: DrawnRows,
  asked: Asked,
): Map<number, { all: RowSet; dense: RowSet }> {
  const { nulls, replicates, small_sample, strata } = asked;
  const rows = Buffer.concat(
    [atomicNumbers, places].map(({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength)),
  );
  const name = digestJson({
    rows: sha256Hex(rows),
    seed,
    permutations: nulls.permutations,
    replicates,
    small_sample,
    least: strata.rows,
  });
  const sets = recent.get(name)?.sets ?? new Map<number, { all: RowSet; dense: RowSet }>();
  recent.delete(name);
  recent.set(name, { n: atomicNumbers.length, sets });
  let held = [...recent.values()].reduce((sum, { n }) => sum + n, 0);
  for (const [other, { n }] of recent) {
    if (held <= RECENT_ROWS || other === name) break;
    recent.delete(other);
    held -= n;
  }
  return sets;
}

/** What is compared in a space: all rows, then each stratum. */
function partsOf({ atomicNumbers, places, seed }: DrawnRows, space: Space, asked: Asked): Part[] {
  const { neighbours, metrics, nulls, strata, small_sample, replicates } = asked;
  const part = (
    { element, rows }: Stratum,
    options: Pick<CloudOptions, 'metrics'> & Pick<CompareOptions, 'nulls'>,
  ): Part => {
    const order = Int32Array.from(rows.keys()).sort((a, b) => places[rows[a]] - places[rows[b]]);
    return {
      element,
      rows,
      rowSet: new RowSet(
        rows.map((row) => atomicNumbers[row]),
        { permutations: nulls.permutations, replicates, seed },
      ),
      options: { ...options, neighbours, seed, replicates, denseRows: order.slice(0, small_sample).sort() },
    };
  };
  const all = { element: EVERY_ROW, rows: Int32Array.from(atomicNumbers.keys()) };
  const calibrate = { metrics: nulls.metrics, alpha: nulls.alpha };
  const parts = [part(all, { metrics, nulls: { ...calibrate, kinds: nulls.kinds } })];
  if (strata.metrics.length === 0 || !strata.spaces.includes(space)) return parts;
  // Within one element both nulls are one.
  const kinds = nulls.kinds.filter((kind) => kind === 'within_element');
  for (const stratum of elementStrata(atomicNumbers, strata.rows))
    parts.push(part(stratum, { metrics: strata.metrics, nulls: { ...calibrate, kinds } }));
  return parts;
}

function cloudOf({ vectors, dim }: Vectors): Matrix<Float64Array> {
  return finiteFloat64(matrix(vectors, vectors.length / dim, dim), 'a sample');
}

import { rowProducts } from '../kernels/products.js';
import { columnMeans, matrix } from '../base/matrix.js';
import { rowNorm } from '../statistics/moments.js';

/** Options of `cosinesToAnchors`. */
export interface ProjectionOptions {
  /** [d], subtracted from rows and anchors alike before the cosine: the anchors' mean, for models whose embeddings share a large mean. */
  centre?: Float64Array;
}

/** The mean of the rows of x [n, d]: [d]. Over the anchor vectors it is the `centre` of `cosinesToAnchors`. */
export function meanRow(x: Float32Array | Float64Array, n: number, dim: number): Float64Array {
  return columnMeans(matrix(x, n, dim));
}

/** Writes row `row` of x, less the centre, at length 1 to `out` from `at`, every element `stride` apart. */
function writeUnit(
  x: Float32Array,
  row: number,
  centre: Float64Array,
  out: Float64Array,
  at: number,
  stride: number,
): void {
  const dim = centre.length;
  const inverse = 1 / rowNorm(x, row, dim, centre);
  for (let j = 0; j < dim; j++) out[at + j * stride] = (x[row * dim + j] - centre[j]) * inverse;
}

/**
 * Coordinates: z_ik = cos(e_i, a_k) of embeddings x [n, d] to anchors [K, d] of the same model (Moschella et al. 2209.15430; docs/method.md, Coordinates). Computed
 * in float64 and rounded once to float32, so that an anchor's cosine to itself is exactly 1 and a row's coordinates do not depend on
 * the rows around it, to the last bit.
 * @returns [n, K], within [-1, 1]
 * @throws RangeError at a row or anchor of zero or non-finite norm, with its number
 */
export async function cosinesToAnchors(
  x: Float32Array,
  anchors: Float32Array,
  dim: number,
  { centre = new Float64Array(dim) }: ProjectionOptions = {},
): Promise<Float32Array> {
  const n = x.length / dim;
  const k = anchors.length / dim;
  if (!Number.isInteger(n) || !Number.isInteger(k) || centre.length !== dim) {
    throw new RangeError(
      `latent/basis: rows (${x.length} values), anchors (${anchors.length}) and centre (${centre.length}) must all have ${dim} columns`,
    );
  }
  const w = new Float64Array(dim * k);
  for (let anchor = 0; anchor < k; anchor++) {
    try {
      writeUnit(anchors, anchor, centre, w, anchor, k);
    } catch (error) {
      throw new RangeError(`latent/basis: anchor ${anchor}: ${(error as Error).message}`, { cause: error });
    }
  }
  const z = new Float32Array(n * k);
  const fill = (buffer: Float64Array, first: number, count: number): void => {
    for (let row = 0; row < count; row++) writeUnit(x, first + row, centre, buffer, row * dim, 1);
  };
  await rowProducts(n, dim, fill, w, k, (products, first, count) => z.set(products.subarray(0, count * k), first * k));
  return z;
}

/**
 * Mean coordinates of every structure: project, then pool.
 * @param coordinates [n, K], the atoms of a structure consecutive
 * @param atomCounts atoms of each structure, in order, adding up to n
 * @returns [structures, K], summed in float64
 */
export function structureMeans(coordinates: Float32Array, k: number, atomCounts: ArrayLike<number>): Float32Array {
  const means = new Float32Array(atomCounts.length * k);
  const sums = new Float64Array(k);
  let at = 0;
  for (let structure = 0; structure < atomCounts.length; structure++) {
    const count = atomCounts[structure];
    if (!(count > 0))
      throw new RangeError(`latent/basis: structure ${structure} has ${count} atoms; a mean needs at least one`);
    sums.fill(0);
    for (let atom = 0; atom < count; atom++) for (let j = 0; j < k; j++) sums[j] += coordinates[at++];
    for (let j = 0; j < k; j++) means[structure * k + j] = sums[j] / count;
  }
  if (at !== coordinates.length) {
    throw new RangeError(
      `latent/basis: the structures have ${at / k} atoms together; there are ${coordinates.length / k} rows`,
    );
  }
  return means;
}

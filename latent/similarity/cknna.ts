import { centred, finiteFloat64, type Matrix } from '../matrix.js';
import { nearestNeighbours, type Neighbours } from './neighbours.js';

/**
 * CKNNA (Huh et al. 2024, platonic-rep): linear CKA by the unbiased estimator of HSIC in which only pairs count that are k-nearest neighbours, by inner
 * product, in both clouds. Takes the rows as given, as platonic-rep does after scaling them to length 1: centre or scale before where that is meant.
 * Does not add its 1e-6 to the norm, so that scale does not matter. Costs the neighbours and O(n k).
 * @param k 2 .. n - 1
 * @returns 1 for equal clouds, about 0 for independent ones, can be negative; 0 when a self-similarity is not positive or all rows of a cloud are equal
 * @throws RangeError when rows are not paired, below 4 rows, at a k out of range, or when a value is not finite
 */
export async function cknna(x: Matrix, y: Matrix, k = 10): Promise<number> {
  const n = x.rows;
  if (n !== y.rows) throw new RangeError(`latent/similarity: x has ${n} rows and y ${y.rows}; rows are paired`);
  if (n < 4 || k < 2)
    throw new RangeError(`latent/similarity: CKNNA of ${n} rows with ${k} neighbours; it needs at least 4 and 2`);
  const [left, right] = [finiteFloat64(x, 'x'), finiteFloat64(y, 'y')];
  if (isPoint(left) || isPoint(right)) return 0;
  const a: Kernel = { points: left, neighbours: await nearestNeighbours(left, k, 'inner') };
  const b: Kernel = { points: right, neighbours: await nearestNeighbours(right, k, 'inner') };
  const [xx, yy] = [maskedHsic(a, a), maskedHsic(b, b)];
  return xx > 0 && yy > 0 ? maskedHsic(a, b) / Math.sqrt(xx) / Math.sqrt(yy) : 0;
}

/** Rows whose inner products are a kernel, with the neighbours that mask it. */
interface Kernel {
  points: Matrix<Float64Array>;
  neighbours: Neighbours;
}

/** n (n - 3) times the unbiased HSIC (Song et al. 2012, equation 5) of the kernels K and L where row i has column j among its neighbours in both. */
function maskedHsic(a: Kernel, b: Kernel): number {
  const { rows: n, k } = a.neighbours;
  const columnsOfA = new Float64Array(n);
  const rowsOfB = new Float64Array(n);
  const masked = new Map<number, number>(); // L_ij by i n + j
  const products: [number, number, number][] = [];
  let [totalA, totalB] = [0, 0];
  for (let i = 0; i < n; i++) {
    const inB = new Set(b.neighbours.indices.subarray(i * k, (i + 1) * k));
    for (const j of a.neighbours.indices.subarray(i * k, (i + 1) * k)) {
      if (!inB.has(j)) continue;
      const [ofA, ofB] = [innerProduct(a.points, i, j), innerProduct(b.points, i, j)];
      columnsOfA[j] += ofA;
      rowsOfB[i] += ofB;
      totalA += ofA;
      totalB += ofB;
      masked.set(i * n + j, ofB);
      products.push([i, j, ofA]);
    }
  }
  let trace = 0;
  for (const [i, j, ofA] of products) trace += ofA * (masked.get(j * n + i) ?? 0);
  let through = 0;
  for (let j = 0; j < n; j++) through += columnsOfA[j] * rowsOfB[j];
  return trace + (totalA / (n - 1)) * (totalB / (n - 2)) - (2 * through) / (n - 2);
}

function innerProduct({ data, columns }: Matrix, i: number, j: number): number {
  let sum = 0;
  for (let c = 0; c < columns; c++) sum += data[i * columns + c] * data[j * columns + c];
  return sum;
}

function isPoint(x: Matrix): boolean {
  return centred(x, Float64Array.from(x.data.subarray(0, x.columns))).data.every((value) => value === 0);
}

import { finiteFloat64, type Matrix } from '../matrix.js';
import { mean, visitSharedNeighbours } from './mutualNeighbours.js';
import { nearestNeighbours, type Neighbours } from './neighbours.js';

/** Rows whose inner products are a kernel, masked by the neighbours that are nearest by inner product. */
export interface MaskedKernel {
  neighbours: Neighbours;
  /** Inner product of each row with each of its neighbours [n, k]. */
  products: Float64Array;
  /** Unbiased HSIC of the masked kernel with itself, to a factor; 0 where all rows are equal. */
  self: number;
}

/** Unbiased HSIC of two masked kernels, to a factor, with the derivative by the weight of each row [n] where asked for. */
interface MaskedHsic {
  value: number;
  slope: Float64Array | null;
}

/** The masked kernel of rows x [n, p] with their neighbours by inner product. */
export function maskedKernel(x: Matrix<Float64Array>, neighbours: Neighbours): MaskedKernel {
  const { rows: n, k, indices } = neighbours;
  const products = new Float64Array(n * k);
  for (let i = 0, at = 0; i < n; i++) for (let j = 0; j < k; j++, at++) products[at] = innerProduct(x, i, indices[at]);
  const kernel = { neighbours, products, self: 0 };
  return isPoint(x) ? kernel : { ...kernel, self: maskedHsic(kernel, kernel, null, false).value };
}

/**
 * CKNNA (Huh et al. 2024, platonic-rep): linear CKA by the unbiased estimator of HSIC in which only pairs count that are k-nearest neighbours, by inner
 * product, in both clouds. Takes the rows as given, where platonic-rep scales them to length 1 first: see `directions`.
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
  return cknnaOf(
    maskedKernel(left, await nearestNeighbours(left, k, 'inner')),
    maskedKernel(right, await nearestNeighbours(right, k, 'inner')),
  );
}

/** CKNNA of two masked kernels; with a permutation, row i of x stands beside row `permutation[i]` of y. */
export function cknnaOf(x: MaskedKernel, y: MaskedKernel, permutation: Int32Array | null = null): number {
  if (!(x.self > 0 && y.self > 0)) return 0;
  return maskedHsic(x, y, permutation, false).value / Math.sqrt(x.self) / Math.sqrt(y.self);
}

/** Influence of every row on CKNNA [n], mean 0: n times the derivative by the row's weight, neighbour sets held fixed. */
export function cknnaInfluence(x: MaskedKernel, y: MaskedKernel): Float64Array {
  const n = x.neighbours.rows;
  const influence = new Float64Array(n);
  if (!(x.self > 0 && y.self > 0)) return influence;
  const between = maskedHsic(x, y, null, true);
  const scale = n / Math.sqrt(x.self) / Math.sqrt(y.self);
  for (const [{ slope }, weight] of [
    [between, scale],
    [maskedHsic(x, x, null, true), (-scale * between.value) / (2 * x.self)],
    [maskedHsic(y, y, null, true), (-scale * between.value) / (2 * y.self)],
  ] as const)
    slope!.forEach((one, i) => (influence[i] += weight * one));
  const centre = mean(influence); // what scaling all weights alike would do
  return influence.map((one) => one - centre);
}

/** n (n - 3) times the unbiased HSIC (Song et al. 2012, equation 5) of the kernels K and L where row i has column j among its neighbours in both. */
function maskedHsic(
  a: Omit<MaskedKernel, 'self'>,
  b: Omit<MaskedKernel, 'self'>,
  permutation: Int32Array | null,
  withSlope: boolean,
): MaskedHsic {
  const { rows: n, indices } = a.neighbours;
  const columnsOfA = new Float64Array(n);
  const rowsOfB = new Float64Array(n);
  const masked = new Map<number, number>(); // L_ij by i n + j
  const shared: { i: number; j: number; ofA: number; ofB: number }[] = [];
  let [totalA, totalB] = [0, 0];
  visitSharedNeighbours(a.neighbours, b.neighbours, permutation, (i, atA, atB) => {
    const [j, ofA, ofB] = [indices[atA], a.products[atA], b.products[atB]];
    columnsOfA[j] += ofA;
    rowsOfB[i] += ofB;
    totalA += ofA;
    totalB += ofB;
    masked.set(i * n + j, ofB);
    shared.push({ i, j, ofA, ofB });
  });
  let trace = 0;
  for (const { i, j, ofA } of shared) trace += ofA * (masked.get(j * n + i) ?? 0);
  let through = 0;
  for (let j = 0; j < n; j++) through += columnsOfA[j] * rowsOfB[j];
  const value = trace + (totalA / (n - 1)) * (totalB / (n - 2)) - (2 * through) / (n - 2);
  if (!withSlope) return { value, slope: null };
  const slope = new Float64Array(n);
  const [perA, perB, perThrough] = [totalB / ((n - 1) * (n - 2)), totalA / ((n - 1) * (n - 2)), -2 / (n - 2)];
  for (let i = 0; i < n; i++) slope[i] = perThrough * columnsOfA[i] * rowsOfB[i];
  for (const { i, j, ofA, ofB } of shared) {
    const both = ofA * (masked.get(j * n + i) ?? 0) + perA * ofA + perB * ofB;
    slope[i] += both + perThrough * ofA * rowsOfB[j];
    slope[j] += both + perThrough * ofB * columnsOfA[i];
  }
  return { value, slope };
}

function innerProduct({ data, columns }: Matrix, i: number, j: number): number {
  let sum = 0;
  for (let c = 0; c < columns; c++) sum += data[i * columns + c] * data[j * columns + c];
  return sum;
}

function isPoint({ data, columns }: Matrix): boolean {
  for (let at = columns; at < data.length; at++) if (data[at] !== data[at - columns]) return false;
  return true;
}

import { countUp } from '../base/integers.js';
import { finiteFloat64, type Matrix } from '../base/matrix.js';
import { visitSharedNeighbours } from './mutualNeighbours.js';
import { mean } from '../statistics/mean.js';
import { nearestNeighbours, type Neighbours } from '../neighbours/neighbours.js';

/** Rows whose inner products are a kernel, masked by the neighbours that are nearest by inner product. */
export interface MaskedKernel {
  neighbours: Neighbours;
  /** Inner product of each row with each of its neighbours [n, k]. */
  products: Float64Array;
  /** 1 where the row is among the neighbours of that neighbour too, else 0 [n, k]. */
  returned: Uint8Array;
  /** Unbiased HSIC of the masked kernel with itself, to a factor; 0 where all rows are equal. */
  self: number;
}

/** The masked kernel of rows x [n, p] with their neighbours by inner product. */
export function maskedKernel(x: Matrix<Float64Array>, neighbours: Neighbours): MaskedKernel {
  const { rows: n, k, indices } = neighbours;
  const products = new Float64Array(n * k);
  const returned = new Uint8Array(n * k);
  for (let i = 0, at = 0; i < n; i++)
    for (let end = at + k; at < end; at++) {
      const j = indices[at];
      products[at] = innerProduct(x, i, j);
      if (indices.subarray(j * k, (j + 1) * k).includes(i)) returned[at] = 1;
    }
  const kernel = { neighbours, products, returned, self: 0 };
  return isPoint(x) ? kernel : { ...kernel, self: sharedKernel(kernel, kernel).hsic };
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

/** What two masked kernels share once row i of x stands beside row `permutation[i]` of y. */
export interface SharedKernel {
  /** n (n - 3) times the unbiased HSIC (Song et al. 2012, equation 5) where row i has column j among its neighbours in both. */
  hsic: number;
  /** Mean share of neighbours in common. */
  overlap: number;
}

/** CKNNA of two masked kernels by what they share. */
export function cknnaOf(x: MaskedKernel, y: MaskedKernel, { hsic } = sharedKernel(x, y)): number {
  return x.self > 0 && y.self > 0 ? hsic / Math.sqrt(x.self) / Math.sqrt(y.self) : 0;
}

/** See {@link SharedKernel}; null is the order that the rows have. O(n k). */
export function sharedKernel(x: MaskedKernel, y: MaskedKernel, permutation: Int32Array | null = null): SharedKernel {
  const { rows: n, k } = x.neighbours;
  const order = permutation ?? countUp(n);
  const [inX, inY] = [x.neighbours.indices, y.neighbours.indices];
  const columnsOfX = new Float64Array(n);
  const rowsOfY = new Float64Array(n);
  const marked = new Int32Array(n); // by row of y: 1 + the last row of x that has it for a neighbour, and as which
  const places = new Int32Array(n);
  let [shared, trace, totalX, totalY] = [0, 0, 0, 0];
  for (let i = 0; i < n; i++) {
    const mark = i + 1;
    for (let at = i * k, end = at + k; at < end; at++) {
      const row = order[inX[at]];
      marked[row] = mark;
      places[row] = at;
    }
    for (let at = order[i] * k, end = at + k; at < end; at++) {
      const row = inY[at];
      if (marked[row] !== mark) continue;
      const atX = places[row];
      const [ofX, ofY] = [x.products[atX], y.products[at]];
      shared++;
      totalX += ofX;
      totalY += ofY;
      columnsOfX[inX[atX]] += ofX;
      rowsOfY[i] += ofY;
      // K_ij L_ji where j has i for a neighbour in both as well; products are symmetric
      if (x.returned[atX] !== 0 && y.returned[at] !== 0) trace += ofX * ofY;
    }
  }
  let through = 0;
  for (let j = 0; j < n; j++) through += columnsOfX[j] * rowsOfY[j];
  const hsic = trace + (totalX / (n - 1)) * (totalY / (n - 2)) - (2 * through) / (n - 2);
  return { hsic, overlap: shared / (n * k) };
}

/** Influence of every row on CKNNA [n], mean 0: n times the derivative by the row's weight, neighbour sets held fixed. */
export function cknnaInfluence(x: MaskedKernel, y: MaskedKernel): Float64Array {
  const n = x.neighbours.rows;
  const influence = new Float64Array(n);
  if (!(x.self > 0 && y.self > 0)) return influence;
  const { hsic } = sharedKernel(x, y);
  const scale = n / Math.sqrt(x.self) / Math.sqrt(y.self);
  for (const [slope, weight] of [
    [hsicSlope(x, y), scale],
    [hsicSlope(x, x), (-scale * hsic) / (2 * x.self)],
    [hsicSlope(y, y), (-scale * hsic) / (2 * y.self)],
  ] as const)
    slope.forEach((one, i) => (influence[i] += weight * one));
  const centre = mean(influence); // what scaling all weights alike would do
  return influence.map((one) => one - centre);
}

/** Derivative of the HSIC of `sharedKernel` by the weight of each row [n]. */
function hsicSlope(x: MaskedKernel, y: MaskedKernel): Float64Array {
  const { rows: n, k, indices } = x.neighbours;
  const [columnsOfX, rowsOfY] = [new Float64Array(n), new Float64Array(n)];
  const [sharedX, sharedY] = [new Int32Array(n * k), new Int32Array(n * k)]; // places of what both have
  let shared = 0;
  let [totalX, totalY] = [0, 0];
  visitSharedNeighbours(x.neighbours, y.neighbours, (i, atX, atY) => {
    const [ofX, ofY] = [x.products[atX], y.products[atY]];
    columnsOfX[indices[atX]] += ofX;
    rowsOfY[i] += ofY;
    totalX += ofX;
    totalY += ofY;
    sharedX[shared] = atX;
    sharedY[shared++] = atY;
  });
  const [perX, perY, perThrough] = [totalY / ((n - 1) * (n - 2)), totalX / ((n - 1) * (n - 2)), -2 / (n - 2)];
  const slope = columnsOfX.map((column, i) => perThrough * column * rowsOfY[i]);
  for (let one = 0; one < shared; one++) {
    const [atX, atY] = [sharedX[one], sharedY[one]];
    const [i, j] = [Math.floor(atX / k), indices[atX]];
    const [ofX, ofY] = [x.products[atX], y.products[atY]];
    const both = x.returned[atX] !== 0 && y.returned[atY] !== 0;
    const ofBoth = (both ? ofX * ofY : 0) + perX * ofX + perY * ofY;
    slope[i] += ofBoth + perThrough * ofX * rowsOfY[j];
    slope[j] += ofBoth + perThrough * ofY * columnsOfX[i];
  }
  return slope;
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

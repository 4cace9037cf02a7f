import { symmetricEigen } from '../linear/eigen.js';
import { type Matrix, takeRows } from '../base/matrix.js';
import { rowNorm } from '../statistics/moments.js';
import { gramMatrix } from '../kernels/products.js';
import { effectiveRank } from '../statistics/effectiveRank.js';

/** Figures by which anchor sets are compared (docs/method.md, Quality); coverage and mean distance pull against each other. */
export interface AnchorQuality {
  /** Share of the non-empty histogram bins (100 a component, between its extremes) that hold an anchor, mean over components. */
  coverage: number;
  /** Mean distance of the rows to their nearest anchor, in projected units. */
  meanDistance: number;
  /** Largest such distance. */
  worstDistance: number;
  /** Elements among the anchors, and among all rows. */
  elementsHit: number;
  elements: number;
}

const BINS = 100;

function coverage(rows: Matrix, anchors: ArrayLike<number>): number {
  const { data, columns } = rows;
  let total = 0;
  for (let component = 0; component < columns; component++) {
    let [low, high] = [Infinity, -Infinity];
    for (let at = component; at < data.length; at += columns) {
      low = Math.min(low, data[at]);
      high = Math.max(high, data[at]);
    }
    const bin = (row: number): number =>
      high > low ? Math.min(BINS - 1, Math.floor(((data[row * columns + component] - low) / (high - low)) * BINS)) : 0;
    const filled = new Set<number>();
    for (let row = 0; row < rows.rows; row++) filled.add(bin(row));
    const hit = new Set(Array.from(anchors, bin));
    total += hit.size / filled.size;
  }
  return total / columns;
}

/**
 * How well anchors cover rows. O(n K p).
 * @param rows the clustering space, [n, p]: all rows, or a sample that holds the anchors
 * @param anchors row numbers of the anchors
 * @param atomicNumbers [n]
 */
export function anchorQuality(
  rows: Matrix,
  anchors: ArrayLike<number>,
  atomicNumbers: ArrayLike<number>,
): AnchorQuality {
  if (rows.rows === 0 || anchors.length === 0) {
    throw new RangeError(`latent/basis: ${anchors.length} anchors among ${rows.rows} rows have no quality`);
  }
  const { data: anchorRows } = takeRows(rows, anchors);
  const { data, columns } = rows;
  let [sum, worst] = [0, 0];
  for (let row = 0; row < rows.rows; row++) {
    let nearest = Infinity;
    for (let at = 0; at < anchorRows.length;) {
      let squared = 0;
      for (let j = row * columns, end = j + columns; j < end; j++) {
        const difference = data[j] - anchorRows[at++];
        squared += difference * difference;
      }
      if (squared < nearest) nearest = squared;
    }
    sum += Math.sqrt(nearest);
    worst = Math.max(worst, nearest);
  }
  return {
    coverage: coverage(rows, anchors),
    meanDistance: sum / rows.rows,
    worstDistance: Math.sqrt(worst),
    elementsHit: new Set(Array.from(anchors, (row) => atomicNumbers[row])).size,
    elements: new Set(Array.from(atomicNumbers)).size,
  };
}

/** Conditioning of a basis in one model's embedding space. */
export interface GramConditioning {
  /** Largest over smallest eigenvalue of the matrix of the anchors' cosines, at most 1/epsilon (4.5e15: singular, as for K > d). */
  condition: number;
  /** Number of anchors that would span as evenly, had they been orthogonal (see `effectiveRank`). */
  effectiveRank: number;
}

/** Conditioning of anchor vectors [K, d]. */
export async function gramConditioning(anchors: Matrix): Promise<GramConditioning> {
  const { data, rows, columns } = anchors;
  const unit = new Float64Array(columns * rows); // one anchor a column, so that the Gram matrix is over anchors
  for (let row = 0; row < rows; row++) {
    const inverse = 1 / rowNorm(data, row, columns);
    for (let j = 0; j < columns; j++) unit[j * rows + row] = data[row * columns + j] * inverse;
  }
  const { values } = symmetricEigen(await gramMatrix(unit, columns, rows), rows);
  const smallest = Math.max(values[rows - 1], values[0] * Number.EPSILON);
  return { condition: values[0] / smallest, effectiveRank: effectiveRank(values) };
}

import { TableCorrupt, readArrow, utf8Column, utf8Strings, writeArrow, type TableMetadata } from './arrowParquet.js';
import { compareCodePoints } from '../../text/codePoints.js';
import { checkVectors } from './atomVectors.js';

/** Where plans send atoms of model_a: parallel arrays, sorted by (draw, material_id, atom_index). */
export interface TransportBarycentric {
  /** [n] number of the plan, as in `transport_summary`. */
  draws: Int32Array;
  /** [n] */
  materialIds: readonly string[];
  /** [n] */
  atomIndices: Int32Array;
  /** [n, dim] mean coordinates in model_b of the atoms that the plan sends this one to, weighted by mass; row-major, finite. */
  images: Float32Array;
  /** K, the number of anchors. */
  dim: number;
  /** [n] distance of the image from the atom's own coordinates in model_a. */
  residuals: Float32Array;
}

/**
 * Table `transport_barycentric`: columns draw int32, material_id string, atom_index int32, image fixed_size_list<float32>[K], residual float32;
 * model_a and model_b are partition folders.
 * @throws RangeError where rows are out of order, shapes disagree or a value is not finite
 */
export function encodeTransportBarycentric(rows: TransportBarycentric, metadata: TableMetadata = {}): Uint8Array {
  const { draws, materialIds, atomIndices, images, dim, residuals } = rows;
  const n = draws.length;
  if ([materialIds, atomIndices, residuals].some(({ length }) => length !== n))
    throw new RangeError(
      `datasets: transport_barycentric has ${n} draws, ${materialIds.length} ids, ${atomIndices.length} atoms and ${residuals.length} residuals; each row needs one of each`,
    );
  const disorder = firstDisorder(rows);
  if (disorder !== undefined) throw new RangeError(`datasets: transport_barycentric: ${disorder}`);
  checkVectors('transport_barycentric', 'image', images, n, dim);
  checkVectors('transport_barycentric', 'residual', residuals, n, 1);
  return writeArrow(
    {
      draw: { kind: 'int32', values: draws },
      material_id: utf8Column(materialIds),
      atom_index: { kind: 'int32', values: atomIndices },
      image: { kind: 'float32[]', size: dim, values: images },
      residual: { kind: 'float32', values: residuals },
    },
    n,
    metadata,
  );
}

/** Reads a part of table `transport_barycentric`. @throws {TableCorrupt} also where rows are out of order */
export function decodeTransportBarycentric(bytes: Uint8Array): TransportBarycentric & { metadata: TableMetadata } {
  const { columns, metadata } = readArrow(bytes, 'transport_barycentric', {
    draw: 'int32',
    material_id: 'utf8',
    atom_index: 'int32',
    image: 'float32[]',
    residual: 'float32',
  });
  const rows = {
    draws: columns.draw.values,
    materialIds: utf8Strings(columns.material_id),
    atomIndices: columns.atom_index.values,
    images: columns.image.values,
    dim: columns.image.size,
    residuals: columns.residual.values,
  };
  const disorder = firstDisorder(rows);
  if (disorder !== undefined) throw new TableCorrupt('transport_barycentric', disorder);
  return { ...rows, metadata };
}

/** What is wrong with the order of the rows. */
function firstDisorder({
  draws,
  materialIds,
  atomIndices,
}: Pick<TransportBarycentric, 'draws' | 'materialIds' | 'atomIndices'>): string | undefined {
  for (let row = 1; row < draws.length; row++) {
    const rises =
      draws[row] - draws[row - 1] ||
      compareCodePoints(materialIds[row], materialIds[row - 1]) ||
      atomIndices[row] - atomIndices[row - 1];
    if (rises <= 0)
      return `row ${row}: '${materialIds[row]}:${atomIndices[row]}' of draw ${draws[row]} after '${materialIds[row - 1]}:${atomIndices[row - 1]}' of draw ${draws[row - 1]} is out of order`;
  }
  return undefined;
}

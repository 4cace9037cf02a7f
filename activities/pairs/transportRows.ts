import type { ElementTransportRow } from '../../datasets/tables/elementTransport.js';
import type { TransportBarycentric } from '../../datasets/tables/transportBarycentric.js';
import type { TransportRow } from '../../datasets/tables/transport.js';
import { takeRows } from '../../latent/base/matrix.js';
import type { SolvedPair } from '../../latent/transport/solvePair.js';
import type { Sample } from './rows.js';

/** Atoms of a plan whose images are published at most: a vector takes 400 bytes at K = 100. */
const MAPPED_ROWS = 500;

/** The arcs of a plan by the names of their atoms. */
export function planRows({ plan }: SolvedPair, draw: number, from: Sample, to: Sample): TransportRow[] {
  const { source, sink, mass, cost } = plan;
  return Array.from(mass, (moved, arc) => ({
    draw,
    source_material_id: from.rows[source[arc]].materialId,
    source_atom_index: from.rows[source[arc]].atomIndex,
    target_material_id: to.rows[sink[arc]].materialId,
    target_atom_index: to.rows[sink[arc]].atomIndex,
    mass: moved,
    cost: cost[arc],
  }));
}

/** The images of the atoms that were taken first, so that they are a smaller draw themselves. */
export function imagesOf(
  { map, unmapped, residual }: NonNullable<SolvedPair['barycentric']>,
  draw: number,
  { rows, places }: Sample,
): TransportBarycentric {
  const absent = new Set(unmapped);
  const chosen = Int32Array.from(rows.keys()).filter((row) => places[row] < MAPPED_ROWS && !absent.has(row));
  return {
    draws: new Int32Array(chosen.length).fill(draw),
    materialIds: Array.from(chosen, (row) => rows[row].materialId),
    atomIndices: chosen.map((row) => rows[row].atomIndex),
    images: Float32Array.from(takeRows(map, chosen).data),
    dim: map.columns,
    residuals: Float32Array.from(chosen, (row) => residual[row]),
  };
}

/** Images of several plans in one, in the order given. */
export function joinImages(images: readonly TransportBarycentric[]): TransportBarycentric {
  const dim = images[0]?.dim ?? 1;
  const rows = images.reduce((sum, { draws }) => sum + draws.length, 0);
  const joined = {
    draws: new Int32Array(rows),
    materialIds: images.flatMap(({ materialIds }) => materialIds),
    atomIndices: new Int32Array(rows),
    images: new Float32Array(rows * dim),
    dim,
    residuals: new Float32Array(rows),
  };
  let at = 0;
  for (const one of images) {
    joined.draws.set(one.draws, at);
    joined.atomIndices.set(one.atomIndices, at);
    joined.images.set(one.images, at * dim);
    joined.residuals.set(one.residuals, at);
    at += one.draws.length;
  }
  return joined;
}

/** Adds a draw's element plan to the mean over draws. */
export function addElements(
  rows: Map<string, ElementTransportRow>,
  { elements }: SolvedPair,
  names: Pick<ElementTransportRow, 'model_a' | 'model_b' | 'design'>,
  draws: number,
): void {
  elements.mass.forEach((moved, i) => {
    const [source_element, target_element] = [elements.sourceElement[i], elements.targetElement[i]];
    const cell = `${names.design} ${source_element} ${target_element}`;
    const row = rows.get(cell) ?? { ...names, source_element, target_element, mass: 0 };
    row.mass += moved / draws;
    rows.set(cell, row);
  });
}

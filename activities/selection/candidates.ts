import { sha256Hex } from '../../datasets/digest.js';
import { compareAtoms, type AtomId } from '../../latent/base/atomId.js';
import type { SelectedRow } from '../compute/selectionTasks.js';
import { readListedRows } from '../pairs/listedRows.js';
import type { PlannedRun } from '../run/openRun.js';
import { findStructures } from '../snapshot/atoms.js';
import { drawName, lowestRows, selectionRequest } from './select.js';

/** Atoms that the pairs of a run can ask for: of each model their vectors are gathered once. */
export interface Candidates {
  /** Distinct, in the order of the snapshot. */
  atoms: readonly AtomId[];
  atomicNumbers: Uint8Array;
  /** Shard of each atom, ascending. */
  shards: Int32Array;
  /** By name of a draw: atoms in order of place, with the rank of each within its structure. */
  draws: ReadonlyMap<string, Draw>;
  /** The rows that the spec lists, in its order; null where rows are drawn. */
  listed: Int32Array | null;
  /** Digest of the atoms. */
  digest: string;
}

/** Candidates of one draw: positions among the atoms. */
export interface Draw {
  atoms: Int32Array;
  /** There are no more in this snapshot. */
  complete: boolean;
}

interface Placed extends AtomId {
  atomicNumber: number;
  shard: number;
}

/** The candidates of a run; `factor` times as many of every draw where the first are not enough. */
export function candidatesOf(run: PlannedRun, factor = 1): Promise<Candidates> {
  return run.once(`candidates\n${factor}`, async () => {
    const request = selectionRequest(run.plan, factor);
    const drawn = (await lowestRows<SelectedRow>(run, request)).map((rows) =>
      rows.map(({ row: [materialId, atomIndex, atomicNumber, shard], page }): Placed => ({
        ...{ materialId, atomIndex, atomicNumber },
        shard: run.page(page).start + shard,
      })),
    );
    const listed = await listedAtoms(run);
    const distinct = new Map([...drawn, listed ?? []].flat().map((atom) => [nameOf(atom), atom]));
    const atoms = [...distinct.values()].sort(compareAtoms);
    const positions = new Map(atoms.map((atom, position) => [nameOf(atom), position]));
    const positionsOf = (chosen: readonly AtomId[]) => Int32Array.from(chosen, (atom) => positions.get(nameOf(atom))!);
    return {
      atoms: atoms.map(({ materialId, atomIndex }) => ({ materialId, atomIndex })),
      atomicNumbers: Uint8Array.from(atoms, ({ atomicNumber }) => atomicNumber),
      shards: Int32Array.from(atoms, ({ shard }) => shard),
      draws: new Map(
        request.rows.map(({ seed, draw, reach }, at) => [
          drawName(seed, draw),
          { atoms: positionsOf(drawn[at]), complete: drawn[at].length < reach },
        ]),
      ),
      listed: listed && positionsOf(listed),
      digest: sha256Hex(atoms.map(nameOf).join('\n')),
    };
  });
}

/** The rows that the spec lists, found in their shards; planning has checked that they are there. */
async function listedAtoms(run: PlannedRun): Promise<Placed[] | null> {
  const { listed_rows: list } = run.plan;
  if (list === null) return null;
  const atoms = await readListedRows(run, list);
  const structures = await findStructures(
    run,
    atoms.map(({ materialId }) => materialId),
  );
  return atoms.map((atom) => {
    const { shard, atomicNumbers } = structures.get(atom.materialId)!;
    return { ...atom, shard, atomicNumber: atomicNumbers[atom.atomIndex] };
  });
}

function nameOf({ materialId, atomIndex }: AtomId): string {
  return `${materialId}\0${atomIndex}`;
}

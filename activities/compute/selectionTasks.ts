import { decodeStructures, type StructureRow } from '../../datasets/tables/structures.js';
import { hashUnit } from '../../latent/base/random.js';
import { rankRows } from '../../latent/samples/rows.js';
import { comparePlaces, encodeRanked, type Ranked, type RankedRows } from '../selection/ranked.js';

/** Rows of a draw: the `reach` of lowest place, see docs/method.md. */
export interface RowRequest {
  seed: number;
  draw: number;
  reach: number;
}

/** What is selected of a page. */
export interface SelectionRequest {
  rows: RowRequest[];
  /** Whole structures, those of lowest hash. */
  structures: { seed: number; most: number };
}

/** An atom that may be sampled; its shard is counted from the first of the page. */
export type SelectedRow = [materialId: string, atomIndex: number, atomicNumber: number, shard: number];

/** A structure that diagnostics may look at; its shard is counted from the first of the page. */
export interface SelectedRecord {
  materialId: string;
  formula: string;
  shard: number;
  spaceGroup: number;
  atomicNumbers: number[];
  orbits: number[];
  source: string;
}

/** What was selected of a page: sections of one object. */
export interface PageSelection {
  /** In the order of the requests. */
  rows: RankedRows[];
  structures: RankedRows;
}

/** Tasks of the select stage for the compute threads. */
export const selectionTasks = {
  /** The lowest rows of every draw, and the lowest structures, of the shards of a page. */
  select: ({ shards, request }: { shards: Uint8Array[]; request: SelectionRequest }) => {
    const structures: (StructureRow & { shard: number })[] = [];
    for (const [shard, bytes] of shards.entries())
      for (const row of decodeStructures(bytes)) structures.push({ ...row, shard });
    const byId = new Map(structures.map((structure) => [structure.materialId, structure]));
    const candidates = structures.map(({ materialId, orbits }) => ({
      materialId,
      representatives: orbits.filter((first, atom) => first === atom),
    }));
    const pieces: Buffer[] = [];
    let offset = 0;
    const add = <Row>(rows: readonly Ranked<Row>[]) => {
      const { ranked, bytes } = encodeRanked(rows, offset);
      pieces.push(bytes);
      offset += bytes.length;
      return ranked;
    };
    const selection: PageSelection = {
      rows: request.rows.map(({ seed, draw, reach }) =>
        add(
          rankRows(candidates, reach, seed, draw).map(({ materialId, atomIndex, rank, hash }): Ranked<SelectedRow> => {
            const { atomicNumbers, shard } = byId.get(materialId)!;
            return { place: [rank, hash], row: [materialId, atomIndex, atomicNumbers[atomIndex], shard] };
          }),
        ),
      ),
      structures: add(lowestStructures(structures, request.structures)),
    };
    return { selection, bytes: new Uint8Array(Buffer.concat(pieces)) };
  },
};

function lowestStructures(
  structures: readonly (StructureRow & { shard: number })[],
  { seed, most }: SelectionRequest['structures'],
): Ranked<SelectedRecord>[] {
  return structures
    .map((structure) => ({ place: [0, hashUnit(seed, 'structure', structure.materialId)] as const, structure }))
    .sort((a, b) => comparePlaces(a.place, b.place))
    .slice(0, most)
    .map(({ place, structure: { materialId, formula, shard, spaceGroup, atomicNumbers, orbits, source } }) => ({
      place,
      row: { materialId, formula, shard, spaceGroup, source, atomicNumbers: [...atomicNumbers], orbits: [...orbits] },
    }));
}

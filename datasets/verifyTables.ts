import { TableCorrupt } from './tables/arrowParquet.js';
import { decodeAnchorVectors } from './tables/anchorVectors.js';
import type { AtomVectors } from './tables/atomVectors.js';
import { decodeCoordinates } from './tables/coordinates.js';
import { decodeEmbeddings } from './tables/embeddings.js';
import { ROW_TABLES } from './tables/schemas.js';
import { decodeStructureVectors } from './tables/structureVectors.js';
import { decodeStructures } from './tables/structures.js';
import { decodeTransportBarycentric } from './tables/transportBarycentric.js';
import { ALL_MODELS } from './keys.js';
import type { CheckList } from './checkList.js';

interface Part {
  table: string;
  key: string;
  rows: number;
}

/** Columns and folders that name a model. */
const MODEL_COLUMNS = ['model', 'model_a', 'model_b'];

/** Row tables that refer to structures or atoms: prefix of the columns, and the column or folder that names the model. */
const REFERENCES: Readonly<Record<string, [prefix: string, model: string][]>> = {
  similarity_rows: [
    ['', 'model_a'],
    ['', 'model_b'],
  ],
  transport: [
    ['source_', 'model_a'],
    ['target_', 'model_b'],
  ],
  atypical: [['', 'model']],
  analogies: [
    ['source_', 'model'],
    ['target_', 'model'],
  ],
};

/** The structures of a snapshot: position and size by id. */
type StructureIndex = Map<string, { index: number; atoms: number }>;

/** The structures that one leaf covers, as flags over the snapshot's positions. */
interface Covered {
  snapshot: string;
  flags: Set<number>;
  dim: number;
}

/**
 * What parts of tables must be, and what they must be to one another. Parts come in reading order of the tables (structures,
 * embeddings, anchors, ...), so that what a row refers to is known when the row is read.
 */
export class TableChecks {
  private readonly snapshots = new Map<string, StructureIndex>();
  /** By `<snapshot>/<model>`. */
  private readonly embedded = new Map<string, Covered>();
  /** By table and leaf. */
  private readonly derived = new Map<string, Covered & { table: string; model: string }>();
  /** Number of anchors by basis. */
  private readonly bases = new Map<string, number>();

  constructor(private readonly list: CheckList) {}

  /** Checks one part whose digest is right. */
  async part(part: Part, bytes: Uint8Array): Promise<void> {
    try {
      const rows = await this.read(part, bytes);
      if (rows === undefined) return;
      const failure = rows === part.rows ? undefined : `'${part.key}' has ${rows} rows, its manifest says ${part.rows}`;
      this.list.add('parts have their schema, order and rows', failure);
    } catch (error) {
      if (!(error instanceof TableCorrupt)) throw error;
      this.list.add('parts have their schema, order and rows', `'${part.key}': ${error.message}`);
    }
  }

  /** Checks what only the whole of the parts can show. */
  finish(): void {
    for (const { table, model, snapshot, flags } of this.derived.values()) {
      const whole = this.embedded.get(`${snapshot}/${model}`)?.flags ?? new Set();
      const same = whole.size === flags.size && [...flags].every((index) => whole.has(index));
      this.list.add(
        `${table} cover exactly the embedded structures`,
        same
          ? undefined
          : `model '${model}', snapshot ${snapshot}: ${flags.size} structures, ${whole.size} are embedded`,
      );
    }
  }

  /** @returns rows of the part; undefined for a table this version does not know */
  private async read(part: Part, bytes: Uint8Array): Promise<number | undefined> {
    switch (part.table) {
      case 'structures':
        return this.structures(part, bytes);
      case 'embeddings': {
        const atoms = decodeEmbeddings(bytes);
        const { snapshot, model } = partitions(part.key);
        const leaf = this.embedded.get(`${snapshot}/${model}`) ?? {
          snapshot,
          flags: new Set(),
          dim: atoms.dim,
        };
        this.embedded.set(`${snapshot}/${model}`, leaf);
        this.cover(part, leaf, atoms.materialIds, atoms.dim, sizesOf(atoms));
        return atoms.atomicNumbers.length;
      }
      case 'coordinates': {
        const atoms = decodeCoordinates(bytes);
        this.coverDerived(part, atoms.materialIds, atoms.dim, sizesOf(atoms));
        return atoms.atomicNumbers.length;
      }
      case 'structure_vectors': {
        const structures = decodeStructureVectors(bytes);
        this.coverDerived(part, structures.materialIds, structures.dim, structures.atomCounts);
        return structures.materialIds.length;
      }
      case 'anchor_vectors': {
        const { vectors, dim } = decodeAnchorVectors(bytes);
        const anchors = this.bases.get(part.key.split('/')[1]);
        const count = vectors.length / dim;
        this.list.add(
          'anchor vectors are one an anchor',
          count === anchors ? undefined : `'${part.key}' has ${count} vectors, the basis ${anchors} anchors`,
        );
        return count;
      }
      case 'transport_barycentric': {
        const { draws, materialIds, atomIndices, dim } = decodeTransportBarycentric(bytes);
        const rows = materialIds.map((material_id, row) => ({ material_id, atom_index: atomIndices[row] }));
        this.references(part, rows, '', 'model_a');
        if (draws.length > 0) this.components(part, dim);
        return draws.length;
      }
      default: {
        const table = ROW_TABLES[part.table];
        if (!table) return undefined;
        const { rows } = await table.decode(bytes);
        this.models(part, rows);
        if (part.table === 'anchors') this.anchors(part, rows);
        for (const [prefix, model] of REFERENCES[part.table] ?? []) this.references(part, rows, prefix, model);
        return rows.length;
      }
    }
  }

  private structures(part: Part, bytes: Uint8Array): number {
    const rows = decodeStructures(bytes);
    const snapshot = part.key.split('/')[1];
    const index = this.snapshots.get(snapshot) ?? (new Map() as StructureIndex);
    this.snapshots.set(snapshot, index);
    for (const { materialId, atomicNumbers } of rows) {
      const twice = index.has(materialId);
      this.list.add(
        'ids are unique',
        twice ? `structures: '${materialId}' is twice in snapshot ${snapshot}` : undefined,
      );
      if (!twice) index.set(materialId, { index: index.size, atoms: atomicNumbers.length });
    }
    return rows.length;
  }

  private coverDerived(part: Part, ids: readonly string[], dim: number, sizes: ArrayLike<number>): void {
    const { snapshot, basis, model } = partitions(part.key);
    const name = `${part.table}/${snapshot}/${basis}/${model}`;
    const leaf = this.derived.get(name) ?? { table: part.table, model, snapshot, flags: new Set<number>(), dim };
    this.derived.set(name, leaf);
    this.cover(part, leaf, ids, dim, sizes);
    this.components(part, dim);
  }

  private components(part: Part, dim: number): void {
    const { basis } = partitions(part.key);
    const anchors = this.bases.get(basis);
    this.list.add(
      'vectors have the dimension of their basis',
      anchors === dim ? undefined : `'${part.key}' has ${dim} components, basis ${basis} has ${anchors} anchors`,
    );
  }

  private cover(part: Part, leaf: Covered, ids: readonly string[], dim: number, sizes: ArrayLike<number>): void {
    const index = this.snapshots.get(leaf.snapshot);
    this.list.add(
      'a leaf has one dimension',
      dim === leaf.dim ? undefined : `'${part.key}' has ${dim}, others ${leaf.dim}`,
    );
    ids.forEach((id, i) => {
      const structure = index?.get(id);
      const wrong = !structure
        ? `'${part.key}': '${id}' is no structure of snapshot ${leaf.snapshot}`
        : structure.atoms !== sizes[i]
          ? `'${part.key}': '${id}' has ${sizes[i]} atoms, its structure ${structure.atoms}`
          : undefined;
      this.list.add(`${part.table} refer to structures`, wrong);
      if (!structure) return;
      const twice = leaf.flags.has(structure.index);
      this.list.add(
        'ids are unique',
        twice ? `${part.table}: '${id}' is twice in '${part.key}' and its siblings` : undefined,
      );
      leaf.flags.add(structure.index);
    });
  }

  private anchors(part: Part, rows: readonly Record<string, unknown>[]): void {
    const basis = part.key.split('/')[1];
    this.bases.set(basis, rows.length);
    const seen = new Set<string>();
    rows.forEach((row, k) => {
      const id = row.material_id as string;
      const atom = row.atom_index as number;
      const known = [...this.snapshots.values()].some((index) => atom < (index.get(id)?.atoms ?? 0));
      const name = `${id}:${atom}`;
      const wrong =
        row.anchor !== k
          ? `row ${k} of '${part.key}' is anchor ${String(row.anchor)}`
          : seen.has(name)
            ? `anchor '${name}' of '${part.key}' is there twice`
            : known
              ? undefined
              : `anchor '${name}' of '${part.key}' is no atom of any snapshot`;
      seen.add(name);
      this.list.add('anchors are distinct atoms of the data', wrong);
    });
  }

  /** Models that rows or folders name have embedded the snapshot. */
  private models({ table, key }: Part, rows: readonly Record<string, unknown>[]): void {
    const { snapshot, ...folders } = partitions(key);
    if (table === 'quarantine' || snapshot === undefined) return; // who embedded nothing is named there
    const named = new Set(
      MODEL_COLUMNS.flatMap((column) => [folders[column], ...rows.map((row) => row[column] as string | undefined)]),
    );
    for (const model of named) {
      if (model === undefined || (table === 'atypical' && model === ALL_MODELS)) continue;
      this.list.add(
        'tables name embedded models',
        this.embedded.has(`${snapshot}/${model}`) ? undefined : `'${key}': '${model}' embedded nothing of ${snapshot}`,
      );
    }
  }

  /**
   * Rows point at structures, or at atoms of structures, that a model has embedded.
   * @param prefix of the columns material_id and atom_index, where the table has one and it is not null
   * @param of column or folder that names the model
   */
  private references(part: Part, rows: readonly Record<string, unknown>[], prefix: string, modelColumn: string): void {
    const place = partitions(part.key);
    const index = this.snapshots.get(place.snapshot);
    for (const row of rows) {
      const model = place[modelColumn] ?? (row[modelColumn] as string);
      const id = row[`${prefix}material_id`] as string;
      const atom = (row[`${prefix}atom_index`] ?? 0) as number;
      const structure = index?.get(id);
      const covered =
        model === ALL_MODELS || this.embedded.get(`${place.snapshot}/${model}`)?.flags.has(structure?.index ?? -1);
      const sound = structure && atom >= 0 && atom < structure.atoms && covered;
      this.list.add(
        `${part.table} refer to embedded atoms`,
        sound ? undefined : `'${part.key}': '${id}:${atom}' is no embedded atom of '${model}'`,
      );
    }
  }
}

function sizesOf({ offsets }: AtomVectors): Int32Array {
  return offsets.slice(1).map((end, i) => end - offsets[i]);
}

/** Values of the `name=value` folders of a key. */
function partitions(key: string): Record<string, string> {
  return Object.fromEntries([...key.matchAll(/([a-z_]+)=([^/]+)\//g)].map(([, name, value]) => [name, value]));
}

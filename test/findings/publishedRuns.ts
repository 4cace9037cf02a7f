import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pointRun } from '../../datasets/catalog.js';
import { sha256Hex } from '../../datasets/digest.js';
import { putManifest, type TableContent } from '../../datasets/manifest.js';
import { openStore } from '../../datasets/store/open.js';
import type { Column } from '../../datasets/tables/rowTable.js';
import { ROW_TABLES, schemaOf } from '../../datasets/tables/schemas.js';
import { encodeStructures, type StructureRow } from '../../datasets/tables/structures.js';

/** A model as the summary of a run has it. */
export interface SummaryModel {
  id: string;
  lineage: string;
  control: string | null;
}

/** Columns that matter to a test; the others get a value of their type. */
export type GivenRow = Record<string, string | number | null>;
/** Rows by table. */
export type GivenTables = Record<string, GivenRow[]>;

/** Four families, of which one has a fine-tune, and a control of every kind; in the order of a spec. */
export const MODELS: SummaryModel[] = [
  { id: 'chgnet-0.3.0', lineage: 'chgnet-0.3.0', control: null },
  { id: 'chgnet-r2scan', lineage: 'chgnet-0.3.0', control: null },
  { id: 'sevennet-0-11jul2024', lineage: 'sevennet-0-11jul2024', control: null },
  { id: 'nequix-mp-1', lineage: 'nequix-mp-1', control: null },
  { id: 'tensornet-matpes-pbe', lineage: 'tensornet-matpes-pbe', control: null },
  { id: 'mace-random-tiny', lineage: 'mace-random-tiny', control: 'random-weights' },
  { id: 'chgnet-0.3.0-shuffled-1', lineage: 'chgnet-0.3.0-shuffled-1', control: 'shuffled' },
  { id: 'control-one-hot', lineage: 'control-one-hot', control: 'one-hot' },
];
/** Runs that the page is written from. */
export const RUNS = [
  'findings',
  ...['equilibrium', 'extreme', 'centred', 'random', 'all-sources'].map((variant) => `findings-${variant}`),
];

/** Every pair, in the order of the models. */
export function pairsOf(models: readonly SummaryModel[]): [SummaryModel, SummaryModel][] {
  return models.flatMap((a, at) => models.slice(at + 1).map((b): [SummaryModel, SummaryModel] => [a, b]));
}

interface Published {
  models: SummaryModel[];
  structures?: StructureRow[];
  /** When the summary says that the run ended. */
  ended?: string | undefined;
}

/** Publishes a run into a folder by koine's own encoders, manifest and catalog, and the summary that names its models. */
export async function publishRun(
  output: string,
  name: string,
  tables: GivenTables,
  { models, structures = [], ended = '2026-01-01T00:00:00.000Z' }: Published,
): Promise<void> {
  const store = openStore(output);
  const contents: TableContent[] = [];
  const add = async (table: string, bytes: Uint8Array | null, rows: number) => {
    const parts = [];
    if (bytes) {
      const sha256 = sha256Hex(bytes);
      parts.push({
        key: `${table}/run=${name}/part-00000-${sha256.slice(0, 16)}.parquet`,
        bytes: bytes.length,
        rows,
        sha256,
      });
      await store.put(parts[0].key, bytes);
    }
    contents.push({ table, schema: schemaOf(table), parts });
  };
  for (const [table, rows] of Object.entries(tables)) {
    const rowTable = ROW_TABLES[table];
    const filled = rows.map((row) =>
      Object.fromEntries(
        Object.entries(rowTable.columns).map(([column, { type }]) => [column, row[column] ?? blank(type)]),
      ),
    );
    await add(table, rows.length > 0 ? await rowTable.encode(filled) : null, rows.length);
  }
  if (structures.length > 0) await add('structures', encodeStructures(structures), structures.length);
  const manifest = await putManifest(store, {
    ...{ name, snapshot: '0'.repeat(16), basis: {}, params: {}, counts: {}, documents: [], tables: contents },
    inputs: { models: models.map(({ id }) => ({ id })) },
  });
  await pointRun(store, name, { manifest, snapshot: '0'.repeat(16), basis: BASIS });
  await mkdir(join(output, 'runs'), { recursive: true });
  const summary = { manifest, ended, similarity: { models } };
  await writeFile(join(output, 'runs', `${name}-${ended.replaceAll(/\W/g, '')}.json`), JSON.stringify(summary));
}

const BASIS = { digest: '0'.repeat(16), method: 'random', anchors: 1, reference_model: MODELS[0].id };

function blank(type: Column['type']): string | number | null {
  if (type.endsWith('?')) return null;
  return type === 'string' ? '' : 0;
}

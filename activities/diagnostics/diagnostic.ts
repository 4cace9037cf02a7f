import type { DiagnosticStage } from '../../config/names.js';
import { digestJson } from '../../datasets/digest.js';
import * as keys from '../../datasets/keys.js';
import type { PartEntry } from '../../datasets/manifest.js';
import { ROW_TABLES } from '../../datasets/tables/schemas.js';
import { modelInBasis } from '../project/projected.js';
import type { ItemTask, PlanDocument } from '../run/documents.js';
import type { ItemStage } from '../run/itemStage.js';
import type { PlannedRun } from '../run/openRun.js';
import { plannedItems } from './planned.js';

/** Rows by table. */
export type TableRows = Record<string, Record<string, string | number | null>[]>;

/** What decides the result of an item, where its tables go and how they are made. */
export interface DiagnosticItem {
  /** Beside the place and the version: digests of what is read. */
  inputs: Record<string, unknown>;
  /** Digest of the parameters, which names the folder. */
  params: string;
  partKey: (table: string, sha256: string) => string;
  compute: () => Promise<TableRows>;
}

/** A stage that turns vectors of models into rows of tables. */
export interface Diagnostic {
  stage: DiagnosticStage;
  /** Raise it when the same inputs may give other rows. */
  version: number;
  /** Item `item` in a basis. @throws {NotDone} where a stage before is not done */
  item: (run: PlannedRun, basis: string, item: number) => Promise<DiagnosticItem>;
}

/** What an item published, by table. */
export interface DiagnosticReceipt {
  outputs: Record<string, PartEntry>;
}

/** A diagnostic as a stage of a fan-out. */
export interface DiagnosticItemStage extends ItemStage<DiagnosticStage, DiagnosticReceipt> {
  /** Number of items in a plan. */
  items: (plan: PlanDocument) => number;
}

/** The stage of a diagnostic: finds an item by the digest of its inputs, else computes, encodes and keeps its tables. */
export function diagnosticStage({ stage, version, item: itemOf }: Diagnostic): DiagnosticItemStage {
  return {
    stage,
    items: (plan) => plannedItems(plan)[stage],
    async key(run, { basis, item }) {
      const { inputs, params } = await itemOf(run, basis, item);
      // The place, since parts are published there.
      const place = { snapshot: run.snapshot.snapshot, basis, params };
      return digestJson({ stage, version, ...place, ...inputs });
    },
    async compute(run, { basis, item }) {
      const { compute, partKey } = await itemOf(run, basis, item);
      const put = async ([table, rows]: [string, TableRows[string]]) => {
        const bytes = await ROW_TABLES[table].encode(rows);
        return [table, await run.putPart((sha256) => partKey(table, sha256), bytes, rows.length)] as const;
      };
      return { made: { outputs: Object.fromEntries(await Promise.all(Object.entries(await compute()).map(put))) } };
    },
  };
}

/** Item `item` of a diagnostic, as its stage is asked for it. */
export function diagnosticTask(
  run: PlannedRun,
  stage: DiagnosticStage,
  basis: string,
  item: number,
): ItemTask<DiagnosticStage> {
  return { stage, run: run.ref, basis, item };
}

/** Digest of parameters as it names folders. */
export function paramsOf(parameters: Record<string, unknown>): string {
  return digestJson(parameters).slice(0, 16);
}

/** An item that looks at one model, or at two of them: what they have decides it, and each of its tables is one file named after them. */
export async function itemOfModels(
  run: PlannedRun,
  basis: string,
  models: readonly string[],
  { params, inputs = {}, compute }: Pick<DiagnosticItem, 'params' | 'compute'> & Partial<DiagnosticItem>,
): Promise<DiagnosticItem> {
  const found = await Promise.all(models.map((model) => modelInBasis(run, model, basis)));
  const place = { snapshot: run.snapshot.snapshot, basis, params };
  return {
    inputs: { ...inputs, models, digests: found.map(({ digest }) => digest) },
    params,
    partKey: (table, sha256) => keys.diagnosticPart(table as keys.DiagnosticTable, place, models, sha256),
    compute,
  };
}

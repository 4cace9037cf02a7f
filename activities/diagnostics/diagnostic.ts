import type { DiagnosticStage } from '../../config/names.js';
import { digestJson } from '../../datasets/digest.js';
import * as keys from '../../datasets/keys.js';
import type { PartEntry } from '../../datasets/manifest.js';
import { findReceipt, writeReceipt } from '../../datasets/receipts.js';
import { ROW_TABLES } from '../../datasets/tables/schemas.js';
import { tallyOf, type ItemTask, type PlanDocument, type RunRef, type Tally } from '../run/documents.js';
import type { Work } from '../engine/heartbeat.js';
import { modelParts } from '../project/project.js';
import { pairNames } from '../pairs/pairs.js';
import type { Runs } from '../run/runs.js';

/** Rows by table. */
export type TableRows = Record<string, Record<string, string | number | null>[]>;

/** One item of a diagnostic. */
export interface DiagnosticTask {
  run: RunRef;
  plan: PlanDocument;
  basis: string;
  item: number;
  work: Work;
}

/** What decides the result of an item, where its tables go and how they are made. */
export interface DiagnosticItem {
  /** Beside the place and the version: digests of what is read. */
  inputs: Record<string, unknown>;
  /** Parameters, which also name the folder. */
  params: string;
  partKey: (table: string, sha256: string) => string;
  compute: () => Promise<TableRows>;
}

/** A stage that turns coordinates into rows of small tables. */
export interface Diagnostic {
  stage: DiagnosticStage;
  /** Raise it when the same inputs may give other rows. */
  version: number;
  /** Number of items; 0 where it is switched off or has nothing to look at. */
  items: (plan: PlanDocument) => number;
  item: (task: DiagnosticTask) => Promise<DiagnosticItem>;
}

interface DiagnosticReceipt {
  outputs: Record<string, PartEntry>;
}

/** The activity of a diagnostic: looks the item up, else computes it and leaves a receipt. */
export function diagnosticActivity(runs: Runs, diagnostic: Diagnostic) {
  return async ({ run, item, argument: basis }: ItemTask, work: Work): Promise<Tally> => {
    const plan = await runs.plan(run);
    const found = await diagnostic.item({ run, plan, basis, item, work });
    const key = itemKey(diagnostic, plan, basis, found);
    const store = runs.store(run);
    if (await findReceipt<DiagnosticReceipt>(store, diagnostic.stage, key, work)) return tallyOf({ reused: 1 });
    if (work.lookupOnly) return tallyOf({ done: 0 });
    const outputs: Record<string, PartEntry> = {};
    for (const [table, rows] of Object.entries(await found.compute())) {
      const bytes = await ROW_TABLES[table].encode(rows);
      outputs[table] = await runs.putPart(run, (sha) => found.partKey(table, sha), bytes, rows.length, work);
    }
    await writeReceipt<DiagnosticReceipt>(store, diagnostic.stage, key, { outputs }, work);
    return tallyOf({});
  };
}

/** The parts that an item published, by table; undefined when it was not computed. */
export async function diagnosticParts(
  runs: Runs,
  diagnostic: Diagnostic,
  task: DiagnosticTask,
): Promise<Record<string, PartEntry> | undefined> {
  const found = await diagnostic.item(task);
  const key = itemKey(diagnostic, task.plan, task.basis, found);
  const store = runs.store(task.run);
  return (await findReceipt<DiagnosticReceipt>(store, diagnostic.stage, key, task.work))?.outputs;
}

function itemKey({ stage, version }: Diagnostic, plan: PlanDocument, basis: string, found: DiagnosticItem): string {
  // The place, since parts are published there.
  const place = { snapshot: plan.snapshot.snapshot, basis, params: found.params };
  return digestJson({ stage, version, ...place, ...found.inputs });
}

/** Digest of parameters as it names folders. */
export function paramsOf(parameters: Record<string, unknown>): string {
  return digestJson(parameters).slice(0, 16);
}

/** An item that is a model: its digest, and the place of its one file a table. */
export async function modelItem(
  runs: Runs,
  { run, plan, basis, item, work }: DiagnosticTask,
  params: string,
  compute: (model: string) => Promise<TableRows>,
  inputs: Record<string, unknown> = {},
): Promise<DiagnosticItem> {
  const { id } = plan.models[item];
  const { digest } = await modelParts(runs, run, basis, id, work);
  return {
    inputs: { ...inputs, model: id, digest },
    params,
    partKey: fileOf(plan, basis, params, [id]),
    compute: () => compute(id),
  };
}

/** An item that is a pair of models, (0,1), (0,2), ... unless `names` says which. */
export async function pairItem(
  runs: Runs,
  { run, plan, basis, item, work }: DiagnosticTask,
  params: string,
  compute: (a: string, b: string) => Promise<TableRows>,
  { inputs = {}, names = pairNames(plan, item) }: { inputs?: Record<string, unknown>; names?: [string, string] } = {},
): Promise<DiagnosticItem> {
  const [a, b] = await Promise.all(names.map((name) => modelParts(runs, run, basis, name, work)));
  return {
    inputs: { ...inputs, models: names, a: a.digest, b: b.digest },
    params,
    partKey: fileOf(plan, basis, params, names),
    compute: () => compute(...names),
  };
}

/** Number of pairs of a plan. */
export function pairCount({ models }: PlanDocument): number {
  return (models.length * (models.length - 1)) / 2;
}

function fileOf({ snapshot: { snapshot } }: PlanDocument, basis: string, params: string, models: readonly string[]) {
  return (table: string, sha256: string) =>
    keys.diagnosticPart(table as keys.DiagnosticTable, { snapshot, basis, params }, models, sha256);
}

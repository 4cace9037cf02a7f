import { canonicalJsonBytes } from '../../datasets/canonicalJson.js';
import * as keys from '../../datasets/keys.js';
import type { QuarantineRow } from '../../datasets/tables/quarantine.js';
import { embedStage } from '../embed/embed.js';
import type { Work } from '../engine/heartbeat.js';
import type { PlanRef, RequestRef, RunFailure, RunSummary } from '../run/documents.js';
import { findItem } from '../run/itemStage.js';
import type { PlannedRun, RunMemory } from '../run/openRun.js';
import { snapshotQuarantine } from '../snapshot/snapshot.js';
import type { CodeCounts } from './quarantine.js';

/** Quarantine rows that a failed run's record keeps; the counts keep all. */
const RECORDED_ROWS = 1000;

/** How runs ended: what is no content of a dataset and in no manifest. */
export function runRecordStage(memory: RunMemory) {
  return {
    /** Keeps how a run went: times, versions and costs. */
    async recordRun(ref: RequestRef, outcome: RunSummary | RunFailure, work: Work): Promise<void> {
      const { store } = await memory.requested(ref, work);
      const record = { ...outcome, ended: new Date().toISOString(), node: process.version };
      await store.put(keys.runRecord(outcome.run_id), canonicalJsonBytes(record), work);
    },

    /** The quarantine of a run that goes no further, for its record: that of its sources, and of the model that refused too much. */
    async quarantineReport(
      ref: RequestRef,
      seal: string,
      refusing: { plan: PlanRef; model: string } | null,
      work: Work,
    ): Promise<{ codes: CodeCounts; rows: QuarantineRow[] }> {
      const report: { codes: CodeCounts; rows: QuarantineRow[] } = { codes: {}, rows: [] };
      const add = (row: QuarantineRow) => {
        report.codes[row.code] = (report.codes[row.code] ?? 0) + 1;
        if (report.rows.length < RECORDED_ROWS) report.rows.push(row);
      };
      if (refusing) {
        const run = await memory.planned(refusing.plan, work);
        for await (const row of refusedSoFar(run, refusing.model)) add(row);
      }
      for await (const row of snapshotQuarantine(await memory.requested(ref, work), seal)) add(row);
      return report;
    },
  };
}

/** What a model refused in the shards that were done when it was ended. */
async function* refusedSoFar(run: PlannedRun, model: string): AsyncGenerator<QuarantineRow> {
  const shards = Array.from({ length: run.snapshot.shards }, (_, item) => item);
  const find = (item: number) => findItem(embedStage, run, { stage: 'embed', run: run.ref, model, item });
  for await (const made of run.ahead(shards, find)) yield* made?.quarantine ?? [];
}

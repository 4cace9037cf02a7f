import type { RunSummary } from '../run/documents.js';
import type { PlannedRun } from '../run/openRun.js';

/** How much of something there is already. */
export interface Cached {
  total: number;
  cached: number;
}

/** Records of runs that are looked at, newest first. */
const RECORDS = 50;
/** An embedding takes four bytes a component, its coordinates as many an anchor; compressed, little less. */
const BYTES_PER_VALUE = 4;

/** What the shards of a model that are not there yet will cost. */
export interface ModelEstimate {
  /** Seconds inside the network, of one thread; null where no record of this output tells a rate. */
  seconds: number | null;
  /** Bytes of embeddings and coordinates. */
  bytes: number;
  /** Where the rate is from: a run, or why there is none. */
  rate: string;
}

/** Estimates from the rates that the run records of an output keep. */
export async function estimates(run: PlannedRun, model: string, { total, cached }: Cached): Promise<ModelEstimate> {
  const atoms = (run.snapshot.atoms * (total - cached)) / total;
  const { basis } = run.spec;
  const anchors = Array.isArray(basis.anchors) ? basis.anchors.length : basis.anchors;
  const bytes = Math.round(atoms * BYTES_PER_VALUE * (run.planned(model).dim + anchors));
  if (cached === total) return { seconds: 0, bytes: 0, rate: 'nothing to do' };
  for (const record of await runRecords(run)) {
    const ran = record.models.find(({ id, shards }) => id === model && shards.computed > 0);
    if (!ran) continue;
    // A record counts atoms of all shards; those that were computed are their share.
    const computed = (ran.atoms * ran.shards.computed) / ran.shards.total;
    return {
      seconds: Math.round((ran.inference_seconds * atoms) / Math.max(1, computed)),
      bytes,
      rate: `as in run ${record.run_id}: ${Math.round(computed / Math.max(1e-3, ran.inference_seconds))} atoms a second`,
    };
  }
  return { seconds: null, bytes, rate: 'no run of this output has a rate of it' };
}

/** Records of runs that ended well, newest first. */
function runRecords(run: PlannedRun): Promise<RunSummary[]> {
  return run.once('run records', async () => {
    const found: { key: string; modified: Date }[] = [];
    for await (const { key, modified } of run.store.list('runs/', run.work)) found.push({ key, modified });
    const newest = found.sort((a, b) => b.modified.getTime() - a.modified.getTime()).slice(0, RECORDS);
    const records = await run.many(
      newest,
      async ({ key }) => JSON.parse(Buffer.from(await run.get(key)).toString('utf8')) as RunSummary,
    );
    return records.filter(({ status }) => status === 'done');
  });
}

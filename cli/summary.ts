import type { SimilarityHeadline } from '../datasets/headline.js';
import type { RunFailure, RunRecord, RunSummary } from './outcome.js';
import { formatBytes, formatCount, formatSeconds, formatShare, formatTable } from './format.js';

/** Quarantined structures named when they end a run; the record has more. */
const SHOWN_ROWS = 5;
/** Pairs of models listed; of more, the most alike ones and the least alike. */
const SHOWN_PAIRS = 15;

/** A finished run in words: a table of models, the pairs, the cost, and how to open what it wrote. */
export function describeSummary(summary: RunSummary): string[] {
  const { models, pairs, diagnostics, snapshot, basis, output } = summary;
  const folder = output.replace(/^file:\/\//, '');
  const refused = summary.quarantined > 0 ? `, ${formatCount(summary.quarantined)} quarantined` : '';
  return [
    `${summary.run_id}: done in ${formatSeconds(summary.wall_seconds)}`,
    `snapshot ${snapshot.slice(0, 12)}: ${formatCount(summary.structures)} structures${refused}`,
    '',
    ...formatTable(
      ['model', '>structures', '>atoms', '>quarantined', '>shards computed', '>reused', '>inference'],
      models.map((model) => [
        model.id,
        formatCount(model.structures),
        formatCount(model.atoms),
        formatCount(model.quarantined),
        formatCount(model.shards.computed),
        formatCount(model.shards.reused),
        formatSeconds(model.inference_seconds),
      ]),
    ),
    '',
    `pairs: ${formatCount(pairs.computed)} computed, ${formatCount(pairs.reused)} reused`,
    `diagnostics: ${formatCount(diagnostics.computed)} computed, ${formatCount(diagnostics.reused)} reused`,
    '',
    ...describeSimilarity(summary.similarity),
    ...summary.warnings.map((warning) => `warning: ${warning}`),
    summary.inference_share === null
      ? 'inference: nothing to do, every shard was there'
      : `inference: ${formatShare(summary.inference_share)} of the inference threads' time was spent inside session.run`,
    describeRequests(summary.requests),
    `manifest: ${summary.manifest}`,
    `data: ${folder}`,
    '',
    'In Python:',
    '  import polars as pl',
    `  embeddings = pl.read_parquet("${folder}/embeddings/snapshot=${snapshot}/model=${models[0]?.id}/*.parquet")`,
    `  similarity = pl.read_parquet("${folder}/similarity/snapshot=${snapshot}/basis=${basis}/**/*.parquet")`,
  ];
}

/** What the run asked of its store. */
function describeRequests({ bytesIn, bytesOut, retries, ...kinds }: RunSummary['requests']): string {
  const total = Object.values(kinds).reduce((sum, count) => sum + count, 0);
  const asked = Object.entries(kinds).filter(([, count]) => count > 0);
  const again = retries > 0 ? `, ${formatCount(retries)} of them again` : '';
  return (
    `store: ${formatCount(total)} requests${again} (${asked.map(([kind, count]) => `${kind} ${formatCount(count)}`).join(', ')}), ` +
    `${formatBytes(bytesIn)} read, ${formatBytes(bytesOut)} written`
  );
}

/** The headline of similarity: the pairs by their score, the most alike first, and the mean over lineages. */
export function describeSimilarity({ pairs, models, average, lineages }: SimilarityHeadline): string[] {
  if (pairs.length === 0) return [];
  const controls = new Map(models.flatMap(({ id, control }) => (control === null ? [] : [[id, control]])));
  const named = (id: string) => (controls.has(id) ? `${id} (control: ${controls.get(id)})` : id);
  const sorted = [...pairs].sort((a, b) => b.calibrated - a.calibrated);
  const shown =
    sorted.length <= SHOWN_PAIRS ? sorted : [...sorted.slice(0, -1).slice(0, SHOWN_PAIRS - 1), sorted.at(-1)!];
  return [
    'similarity: neighbours in common beyond what composition explains, 0 none to 1 all (coordinates, calibrated within elements)',
    ...formatTable(
      ['model', 'model', '>score', '>95 % interval', '>p', '>in common', '>atoms'],
      shown.map(({ model_a, model_b, calibrated, low, high, p_value, value, n }) => [
        named(model_a),
        named(model_b),
        calibrated.toFixed(3),
        `${low.toFixed(3)} to ${high.toFixed(3)}`,
        p_value.toFixed(3),
        formatShare(value),
        formatCount(n),
      ]),
    ),
    ...(shown.length < sorted.length
      ? [`... ${formatCount(sorted.length - shown.length)} more pairs in table similarity`]
      : []),
    ...(average === null
      ? []
      : [
          `mean over pairs of ${lineages} lineages${controls.size > 0 ? ', controls left out' : ''}: ${average.toFixed(3)}`,
        ]),
  ];
}

/** A run that did not end well in words: why, where, and what it refused. */
export function describeFailure({ status, message }: RunFailure, record: RunRecord | undefined): string[] {
  const lines = [`${status.replace('_', ' ')}${record ? ` at stage ${record.stage}` : ''}: ${message}`];
  if (!record?.quarantine) return lines;
  const { codes, rows } = record.quarantine;
  lines.push(
    ...formatTable(
      ['code', '>structures'],
      Object.entries(codes).map(([code, n]) => [code, formatCount(n)]),
    ),
  );
  for (const { source, code, message: why } of rows.slice(0, SHOWN_ROWS)) lines.push(`${source}: ${code}: ${why}`);
  if (rows.length > SHOWN_ROWS) lines.push('...');
  return lines;
}

import type { RunFailure, RunRecord, RunSummary } from './outcome.js';
import { formatCount, formatSeconds, formatShare, formatTable } from './format.js';

/** Quarantined structures named when they end a run; the record has more. */
const SHOWN_ROWS = 5;

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
    ...summary.warnings.map((warning) => `warning: ${warning}`),
    summary.inference_share === null
      ? 'inference: nothing to do, every shard was there'
      : `inference: ${formatShare(summary.inference_share)} of the inference threads' time was spent inside session.run`,
    `manifest: ${summary.manifest}`,
    `data: ${folder}`,
    '',
    'In Python:',
    '  import polars as pl',
    `  embeddings = pl.read_parquet("${folder}/embeddings/snapshot=${snapshot}/model=${models[0]?.id}/*.parquet")`,
    `  similarity = pl.read_parquet("${folder}/similarity/snapshot=${snapshot}/basis=${basis}/**/*.parquet")`,
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

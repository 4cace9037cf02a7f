import { EXIT } from '../../config/names.js';
import { previewRun } from '../../workers/plan.js';
import type { Context } from '../context.js';
import { formatAmount, formatBytes, formatCount, formatSeconds, formatTable } from '../format.js';
import { readSpec } from './run.js';

/** Options of `koine plan`. */
export interface PlanOptions {
  json?: boolean;
  replace?: boolean;
  name?: string;
}

/** `koine plan SPEC`: what a run would do and what is there already. */
export async function plan(context: Context, specFile: string, options: PlanOptions): Promise<number> {
  const spec = await readSpec(context, specFile, options.name);
  const preview = await previewRun(context.settings(), spec, options.replace);
  if (options.json) {
    context.console.answer(JSON.stringify(preview));
    return EXIT.done;
  }
  const { models, pairs, diagnostics, basis } = preview;
  const work = ({ total, cached }: { total: number; cached: number }) =>
    `${formatCount(total - cached)} of ${formatCount(total)}`;
  const lines = [
    `snapshot ${preview.snapshot.slice(0, 12)}: ${formatAmount(preview.structures, 'structure')}, ` +
      `${formatCount(preview.quarantined)} quarantined, ${formatAmount(preview.shards, 'shard')}`,
    `basis ${basis.digest ? basis.digest.slice(0, 12) : 'to be fitted'}: ${basis.why}`,
    '',
    ...formatTable(
      ['model', '>shards to embed', '>to project', '>inference', '>to write', 'because'],
      models.map(({ id, embed, project, estimate }) => [
        id,
        work(embed),
        work(project),
        estimate.seconds === null ? '?' : formatSeconds(estimate.seconds),
        formatBytes(estimate.bytes),
        embed.because,
      ]),
    ),
    ...models.map(({ id, estimate }) => `${id}: ${estimate.rate}`),
    '',
    `pairs to compute: ${work(pairs)}`,
    `diagnostics to compute: ${work(diagnostics)}`,
    `nothing was changed; start it with: koine run ${specFile}`,
  ];
  for (const line of lines) context.console.answer(line);
  return EXIT.done;
}

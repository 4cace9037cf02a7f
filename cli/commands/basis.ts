import { EXIT } from '../../config/names.js';
import type { ObjectStore } from '../../datasets/store/objectStore.js';
import { nameAnchors } from '../../workers/anchorNumbering.js';
import { anchorName, compareBases, describeBasis } from '../../workers/basisReport.js';
import type { Context } from '../context.js';
import { openDataset } from '../dataset.js';
import { formatAmount, formatTable } from '../format.js';
import { Refusal } from '../refusal.js';

/** `koine basis show DATASET BASIS`: what a basis is made of, and how well each model's anchors span. */
export async function show(
  { console }: Context,
  dataset: string,
  basis: string,
  { json }: { json?: boolean },
): Promise<number> {
  const store = openDataset(dataset);
  const report = await describeBasis(store, basis);
  if (!report) throw unknownBasis(store, basis);
  if (json) {
    console.answer(JSON.stringify(report));
    return EXIT.done;
  }
  const { anchors, method, reference_model, centre, parameters, pinned_by, elements } = report;
  const facts = [
    ['basis', report.basis],
    [
      'anchors',
      `${anchors.length} by ${method} from ${reference_model}${report.extends ? `, extending ${report.extends}` : ''}`,
    ],
    ['centre', centre],
    [
      'parameters',
      Object.entries(parameters)
        .map((pair) => pair.join(' '))
        .join(', '),
    ],
    ['snapshot', report.snapshot],
    ['pinned by', pinned_by.join(', ') || 'no run'],
    [
      'elements',
      Object.entries(elements)
        .map(([symbol, count]) => `${symbol} ${count}`)
        .join(', '),
    ],
  ];
  for (const line of formatTable(['', ''], facts).slice(1)) console.answer(line);
  console.answer('');
  const models = report.models.map(({ model, dim, condition, effective_rank }) => [
    model,
    String(dim),
    condition.toExponential(1),
    effective_rank.toFixed(1),
  ]);
  for (const line of formatTable(['model', '>d', '>condition', '>effective rank'], models)) console.answer(line);
  console.answer('');
  const rows = anchors.map((anchor, k) => [String(k), anchorName(anchor), String(anchor.atomic_number)]);
  for (const line of formatTable(['>anchor', 'atom', '>Z'], rows)) console.answer(line);
  return EXIT.done;
}

/** `koine basis compare DATASET A B`: what two bases have in common. */
export async function compare(
  { console }: Context,
  dataset: string,
  a: string,
  b: string,
  { json }: { json?: boolean },
): Promise<number> {
  const store = openDataset(dataset);
  const comparison = await compareBases(store, a, b);
  if ('unknown' in comparison) throw unknownBasis(store, comparison.unknown);
  if (json) {
    console.answer(JSON.stringify(comparison));
    return EXIT.done;
  }
  const { anchors, common, only_in_a, only_in_b, models } = comparison;
  console.answer(
    `${comparison.a} has ${formatAmount(anchors[0], 'anchor')}, ${comparison.b} has ${anchors[1]}; ${common.length} are the same atoms`,
  );
  if (only_in_a.length > 0) console.answer(`elements only in ${comparison.a}: ${only_in_a.join(', ')}`);
  if (only_in_b.length > 0) console.answer(`elements only in ${comparison.b}: ${only_in_b.join(', ')}`);
  if (models.length === 0) {
    console.answer('no model has embedded the anchors of both');
    return EXIT.done;
  }
  console.answer('\nmean cosine of an anchor to the nearest anchor of the other basis');
  const rows = models.map(({ model, a_to_b, b_to_a }) => [model, a_to_b.toFixed(3), b_to_a.toFixed(3)]);
  for (const line of formatTable(['model', `>${comparison.a}`, `>${comparison.b}`], rows)) console.answer(line);
  return EXIT.done;
}

/** `koine basis name FILE DATA`: anchors published as numbers, as the lines of a spec. */
export async function name({ console }: Context, file: string, data: string): Promise<number> {
  const names = await nameAnchors(file, data).catch((error: unknown) => {
    throw new Refusal((error as Error).message, EXIT.usage, { cause: error });
  });
  console.answer(
    ['basis:', '  method: explicit', '  anchors:', ...names.map((atom) => `    - ${JSON.stringify(atom)}`)].join('\n'),
  );
  return EXIT.done;
}

function unknownBasis(store: ObjectStore, basis: string): Refusal {
  return new Refusal(
    `${store.url} has no basis '${basis}'; give the name of a run or of one of its folders bases/`,
    EXIT.usage,
  );
}

import type { DiagnosedModel, DiagnosticFindings } from '../../datasets/diagnosticsCard.js';
import { arithmeticTable } from '../../datasets/tables/arithmetic.js';
import { errorPredictionTable } from '../../datasets/tables/errorPrediction.js';
import { modelDiagnosticsTable } from '../../datasets/tables/modelDiagnostics.js';
import type { Columns, RowTable } from '../../datasets/tables/rowTable.js';
import { symmetryTable } from '../../datasets/tables/symmetry.js';
import type { PlannedRun } from '../run/openRun.js';
import type { PublishedTable } from './diagnostics.js';
import { judgementFindings } from './judgement.js';
import { CHANGED } from './symmetry.js';

/** What the card and the end of a run say of the published tables. */
export async function diagnosticFindings(
  run: PlannedRun,
  tables: readonly PublishedTable[],
): Promise<DiagnosticFindings> {
  const rowsOf = async <C extends Columns>(table: RowTable<C>) => {
    const parts = tables.find((one) => one.table === table.name)?.parts ?? [];
    const decoded = await run.many(parts, async ({ key }) => (await table.decode(await run.get(key))).rows);
    return decoded.flat();
  };
  const spaces = await rowsOf(modelDiagnosticsTable);
  const symmetry = await rowsOf(symmetryTable);
  const judgement = judgementFindings(run.spec, await rowsOf(errorPredictionTable));
  const ranks = (await rowsOf(arithmeticTable)).filter(
    ({ metric, model_a, model_b }) => metric === 'mrr' && model_a === model_b,
  );
  const models = run.plan.models.map(({ id }): DiagnosedModel => {
    const space = spaces.find((row) => row.model === id && row.space === 'embeddings');
    const largest = (test: string) =>
      symmetry.find(
        (row) => row.model === id && row.test === test && row.space === 'embeddings' && row.statistic === 'maximum',
      )?.value ?? null;
    const rank = (predictor: string) =>
      ranks.find((row) => row.model_a === id && row.space === 'coordinates' && row.predictor === predictor)?.value;
    const [offset, noChange, composition] = ['offset', 'no_change', 'composition_mean'].map(rank);
    return {
      id,
      meanCosine: space?.mean_cosine ?? null,
      intrinsicDimension: space?.intrinsic_dimension ?? null,
      rotation: largest('rotation'),
      inversion: largest('inversion'),
      arithmetic:
        offset === undefined || noChange === undefined || composition === undefined
          ? null
          : { offset, noChange, composition },
    };
  });
  const warnings = spaces
    .filter(({ warning }) => warning !== null)
    .map(({ model, space, warning }) => `${model}, ${space}: ${warning}`);
  for (const { id, rotation, inversion } of models) {
    if (rotation !== null && rotation > CHANGED)
      warnings.push(
        `${id}: rotating a crystal changes its embeddings by up to ${rotation.toPrecision(2)} of their size`,
      );
    if (inversion !== null && inversion > CHANGED)
      warnings.push(
        `${id}: inverting a crystal changes its embeddings by up to ${inversion.toPrecision(2)} of their size`,
      );
  }
  const oneHot = ranks.find(({ predictor }) => predictor === 'one_hot')?.value ?? null;
  warnings.push(...judgement.warnings);
  return { models, oneHot, judged: judgement.judged, warnings, tables: tables.map(({ table }) => table) };
}

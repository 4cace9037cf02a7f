import { digestJson } from '../datasets/digest.js';
import * as keys from '../datasets/keys.js';
import type { PartEntry } from '../datasets/manifest.js';
import { findReceipt, writeReceipt } from '../datasets/receipts.js';
import { similarityTable, type SimilarityRow } from '../datasets/tables/similarity.js';
import { similarityRowsTable, type SimilarityRowsRow } from '../datasets/tables/similarityRows.js';
import { combineDraws } from '../latent/similarity/bootstrap.js';
import { metricBounds, type ComparedMetric } from '../latent/similarity/comparePair.js';
import { tallyOf, type Tally, type ItemTask, type PlanDocument } from './documents.js';
import { invalidInput } from './failures.js';
import type { Work } from './heartbeat.js';
import { pairKey, pairPlace, readPair } from './pairs.js';
import type { Runs } from './runs.js';
import { SPACES, type Samples } from './samples.js';

/** Version of the numbers: raise it when the same coordinates may give other values. */
const SIMILARITY_VERSION = 1;

/** What one pair published. */
export interface SimilarityReceipt {
  outputs: { similarity: PartEntry; similarity_rows: PartEntry };
}

/** Name of the parameters of similarity, a folder of the layout. */
export function similarityParams({ spec }: PlanDocument): string {
  return digestJson({ ...spec.similarity, version: SIMILARITY_VERSION }).slice(0, 16);
}

/** The similarity stage: how alike two models are, on coordinates and on raw embeddings, with the rows behind every number. */
export function similarityStage(runs: Runs, samples: Samples) {
  return {
    /** Compares pair `item` draw by draw. */
    async similarity({ run, item, argument: basis }: ItemTask, work: Work): Promise<Tally> {
      const plan = await runs.plan(run);
      const store = runs.store(run);
      const { a, b, excluded } = await readPair(runs, run, plan, item, basis, work);
      const params = similarityParams(plan);
      const key = pairKey(plan, basis, params, a, b);
      if (await findReceipt<SimilarityReceipt>(store, 'similarity', key, work)) return tallyOf({ reused: 1 });
      if (work.lookupOnly) return tallyOf({ done: 0 });

      const { sample, draws, seed, neighbours } = plan.spec.similarity;
      const drawn: SimilarityRowsRow[] = [];
      const compared = new Map(SPACES.map((space) => [space, [] as ComparedMetric[][]]));
      const request = { sample, seed, draws: [...Array(draws).keys()] };
      for (const draw of request.draws) {
        const atoms = await samples.draw(run, plan, excluded, request, draw, work);
        if (atoms.rows.length <= neighbours + 1)
          throw invalidInput(
            `similarity of ${a.model} and ${b.model}: ${atoms.rows.length} comparable atoms; similarity.neighbours ` +
              `${neighbours} needs at least ${neighbours + 2}: lower it or add structures`,
          );
        for (const { materialId, atomIndex } of atoms.rows)
          drawn.push({ draw, material_id: materialId, atom_index: atomIndex });
        for (const space of SPACES) {
          const x = await samples.gather(run, a, space, atoms, work);
          const y = await samples.gather(run, b, space, atoms, work);
          const task = { x: x.vectors, y: y.vectors, xDim: x.dim, yDim: y.dim, neighbours, seed: seed + draw };
          compared.get(space)!.push(await runs.deps.compute.call('comparePair', task, { signal: work.signal }));
        }
        work.beat({ draw });
      }
      const rows = SPACES.flatMap((space) =>
        compared.get(space)![0].map(({ metric, n }, m): SimilarityRow => {
          const estimates = compared.get(space)!.map((draw) => draw[m]);
          return {
            model_a: a.model,
            model_b: b.model,
            space,
            metric,
            stratum: 'all',
            ...combineDraws(estimates, metricBounds[metric]),
            n,
            draws,
            seed,
            k: metric.startsWith('mutual_knn') ? neighbours : null,
            null_mean: null,
            calibrated: null,
            p_value: null,
          };
        }),
      );
      const place = pairPlace(plan, basis, params, a, b);
      const outputs = {
        similarity: await runs.putPart(
          run,
          (sha) => keys.pairPart('similarity', place, sha),
          await similarityTable.encode(rows),
          rows.length,
          work,
        ),
        similarity_rows: await runs.putPart(
          run,
          (sha) => keys.pairRowsPart('similarity_rows', place, 0, sha),
          await similarityRowsTable.encode(drawn),
          drawn.length,
          work,
        ),
      };
      await writeReceipt<SimilarityReceipt>(store, 'similarity', key, { outputs }, work);
      return tallyOf({});
    },
  };
}

import type { RunSpec } from '../../config/runSpec.js';
import { digestJson } from '../../datasets/digest.js';
import * as keys from '../../datasets/keys.js';
import type { PartEntry } from '../../datasets/manifest.js';
import { findReceipt, writeReceipt } from '../../datasets/receipts.js';
import { decodeAnchorVectors } from '../../datasets/tables/anchorVectors.js';
import { elementTransportTable, type ElementTransportRow } from '../../datasets/tables/elementTransport.js';
import { transportTable, type TransportRow } from '../../datasets/tables/transport.js';
import { encodeTransportBarycentric, type TransportBarycentric } from '../../datasets/tables/transportBarycentric.js';
import { transportSummaryTable, type TransportSummaryRow } from '../../datasets/tables/transportSummary.js';
import type { ElementBounds } from '../../latent/transport/elementBounds.js';
import type { TransportDesign } from '../../config/names.js';
import type { SolvedPair, SolvePairOptions } from '../../latent/transport/solvePair.js';
import {
  tallyOf,
  type ItemTask,
  type ModelParts,
  type PlanDocument,
  type RunRef,
  type Tally,
} from '../run/documents.js';
import { invalidInput } from '../engine/failures.js';
import type { Work } from '../engine/heartbeat.js';
import { OnceCache } from '../run/onceCache.js';
import { pairKey, pairPlace, readPair, type Pair } from './pairs.js';
import type { Runs } from '../run/runs.js';
import type { RowRequest, Sample, Samples, Space } from './samples.js';
import { addElements, imagesOf, joinImages, planRows } from './transportRows.js';

/** Version of the numbers: raise it when the same coordinates may give other plans. */
const TRANSPORT_VERSION = 3;
/** Gromov-Wasserstein takes time as the cube of the rows. */
const GROMOV_ROWS = 500;

/** What one pair published. */
export interface TransportReceipt {
  outputs: {
    transport: PartEntry;
    transport_barycentric: PartEntry;
    transport_summary: PartEntry;
    element_transport: PartEntry;
  };
}

/** Floor and ceiling of a model's element match by draw; null where the draw has no atoms. */
interface BoundsReceipt {
  outputs: Record<string, never>;
  bounds: (ElementBounds | null)[];
}

/** Name of the parameters of transport, a folder of the layout. */
export function transportParams({ spec }: PlanDocument): string {
  return digestJson({ ...spec.transport, version: TRANSPORT_VERSION }).slice(0, 16);
}

/** The transport stage: optimal plans between two models' coordinates, design by design and draw by draw, and what to hold them against. */
export function transportStage(runs: Runs, samples: Samples) {
  const bounds = new OnceCache<BoundsReceipt['bounds']>(256, () => 1);
  return {
    /** Solves pair `item` and writes plan rows, images, summary and element plan. */
    async transport({ run, item, argument: basis }: ItemTask, work: Work): Promise<Tally> {
      const plan = await runs.plan(run);
      const store = runs.store(run);
      const pair = await readPair(runs, run, plan, item, basis, work);
      const { a, b } = pair;
      const key = pairKey(plan, basis, transportParams(plan), a, b);
      if (await findReceipt<TransportReceipt>(store, 'transport', key, work)) return tallyOf({ reused: 1 });
      if (work.lookupOnly) return tallyOf({ done: 0 });

      const solver = new PairSolver(runs, samples, run, plan, pair, work);
      const ofModels = await Promise.all(
        [a, b].map((model) =>
          bounds.get(
            digestJson([run.output, model.digest, basis, transportParams(plan)]),
            () => modelBounds(runs, samples, run, plan, basis, model, work),
            work.signal,
          ),
        ),
      );
      const rows: TransportRow[] = [];
      const images: TransportBarycentric[] = [];
      const summaries: TransportSummaryRow[] = [];
      const elements = new Map<string, ElementTransportRow>();
      for (const { design, draw, number } of drawsOf(plan.spec)) {
        const [from, to] = await solver.samplesOf(design, number);
        if (from.rows.length === 0) continue; // too few structures for two disjoint sides
        const solved = await solver.solve(design, draw, from, to);
        rows.push(...planRows(solved, number, from, to));
        if (solved.barycentric) images.push(imagesOf(solved.barycentric, number, from));
        const limits = ofModels.map((model) => model[draw]).filter((limit) => limit !== null);
        const floor = limits.length === 0 ? null : Math.max(...limits.map((limit) => limit.floor));
        const ceiling = limits.length === 0 ? null : Math.min(...limits.map((limit) => limit.ceiling));
        summaries.push({
          ...solver.summaryRow('coordinates', design, number, solved),
          element_match_floor: floor,
          element_match_ceiling: design === 'same' ? 1 : ceiling,
        });
        addElements(elements, solved, { model_a: a.model, model_b: b.model, design }, plan.spec.transport.draws);
        work.beat({ draw: number });
      }
      summaries.push(...(await solver.baselines()));

      const place = pairPlace(plan, basis, transportParams(plan), a, b);
      const elementRows = [...elements.values()].sort(
        (p, q) =>
          (p.design === q.design ? 0 : p.design < q.design ? 1 : -1) ||
          p.source_element - q.source_element ||
          p.target_element - q.target_element,
      );
      const joined = joinImages(images);
      const put = (table: keys.PairTable, bytes: Uint8Array, count: number) =>
        runs.putPart(run, (sha) => keys.pairPart(table, place, sha), bytes, count, work);
      const outputs = {
        transport: await runs.putPart(
          run,
          (sha) => keys.pairRowsPart('transport', place, 0, sha),
          await transportTable.encode(rows),
          rows.length,
          work,
        ),
        transport_barycentric: await runs.putPart(
          run,
          (sha) => keys.pairRowsPart('transport_barycentric', place, 0, sha),
          encodeTransportBarycentric(joined),
          joined.draws.length,
          work,
        ),
        transport_summary: await put(
          'transport_summary',
          await transportSummaryTable.encode(summaries),
          summaries.length,
        ),
        element_transport: await put(
          'element_transport',
          await elementTransportTable.encode(elementRows),
          elementRows.length,
        ),
      };
      await writeReceipt<TransportReceipt>(store, 'transport', key, { outputs }, work);
      return tallyOf({});
    },
  };
}

/** The plans of a pair: `number` tells them apart and decides the rows, `draw` counts within the design. */
function drawsOf({ transport: { designs, draws } }: RunSpec) {
  return designs.flatMap((design) => requestOf({ draws }, design).map((number, draw) => ({ design, draw, number })));
}

/** Numbers of the draws of a design: those of `disjoint` come after those of `same`, whether that is asked for or not. */
function requestOf({ draws }: { draws: number }, design: TransportDesign): number[] {
  return Array.from({ length: draws }, (_, draw) => (design === 'same' ? draw : draws + draw));
}

/** Floor and ceiling of one model's element match, from the disjoint draws of all structures that it embedded. Computed once for all its pairs. */
async function modelBounds(
  runs: Runs,
  samples: Samples,
  run: RunRef,
  plan: PlanDocument,
  basis: string,
  model: ModelParts,
  work: Work,
): Promise<BoundsReceipt['bounds']> {
  const { sample, seed, draws } = plan.spec.transport;
  const request: RowRequest = { sample, seed, draws: requestOf({ draws }, 'disjoint') };
  const store = runs.store(run);
  const key = digestJson({ model: model.digest, basis, ...request, version: TRANSPORT_VERSION });
  const known = await findReceipt<BoundsReceipt>(store, 'element_bounds', key, work);
  if (known) return known.bounds;
  const document = await runs.basis(run, basis);
  const refused = new Set(model.quarantine.map(({ material_id }) => material_id));
  const bounds: BoundsReceipt['bounds'] = [];
  for (const draw of request.draws) {
    const [from, to] = await samples.disjoint(run, plan, refused, request, draw, work);
    const [x, y] = [
      await samples.gather(run, model, 'coordinates', from, work),
      await samples.gather(run, model, 'coordinates', to, work),
    ];
    const task = {
      x,
      y,
      sourceElements: from.atomicNumbers,
      sinkElements: to.atomicNumbers,
      anchorElements: Int32Array.from(document.anchors, ({ atomic_number }) => atomic_number),
      centred: document.centre === 'anchors',
    };
    bounds.push(
      from.rows.length === 0 ? null : await runs.deps.compute.call('elementBounds', task, { signal: work.signal }),
    );
    work.beat({ draw });
  }
  await writeReceipt<BoundsReceipt>(store, 'element_bounds', key, { outputs: {}, bounds }, work);
  return bounds;
}

/** Draws, gathers and solves for one pair. */
class PairSolver {
  constructor(
    private readonly runs: Runs,
    private readonly samples: Samples,
    private readonly run: RunRef,
    private readonly plan: PlanDocument,
    private readonly pair: Pair,
    private readonly work: Work,
  ) {}

  /** Sources and targets of draw `number`. @throws a final failure when the models share no atom */
  async samplesOf(design: TransportDesign, number: number): Promise<[Sample, Sample]> {
    const { run, plan, pair, work } = this;
    const { sample, seed, draws } = plan.spec.transport;
    const request = { sample, seed, draws: requestOf({ draws }, design) };
    if (design === 'disjoint') return this.samples.disjoint(run, plan, pair.excluded, request, number, work);
    return this.same(request, number);
  }

  /** The plan of the spec's solver between the coordinates of two samples; the first draw of a design has images. */
  async solve(design: TransportDesign, draw: number, from: Sample, to: Sample): Promise<SolvedPair> {
    const options = { ...this.options(design, from, to), barycentric: draw === 0 };
    const task = { ...(await this.clouds('coordinates', from, to)), options };
    return this.runs.deps.compute.call('solvePair', task, { signal: this.work.signal });
  }

  /** Summaries of the baselines that the spec asks for, on the first draw of the same atoms. */
  async baselines(): Promise<TransportSummaryRow[]> {
    const { sample, seed, baselines, epsilon } = this.plan.spec.transport;
    const { compute } = this.runs.deps;
    const rows: TransportSummaryRow[] = [];
    for (const baseline of baselines) {
      const most = baseline === 'gromov' ? Math.min(sample, GROMOV_ROWS) : sample;
      const [from, to] = await this.same({ sample: most, seed, draws: [0] }, 0);
      const clouds = await this.clouds('embeddings', from, to);
      const options: SolvePairOptions = { ...this.options('same', from, to), solver: 'exact', epsilon };
      const { signal } = this.work;
      const solved =
        baseline === 'gromov'
          ? await compute.call('gromovPair', { ...clouds, options }, { signal })
          : await compute.call(
              'solveMappedPair',
              {
                ...clouds,
                xAnchors: await this.anchors(this.pair.a),
                yAnchors: await this.anchors(this.pair.b),
                options,
              },
              { signal },
            );
      rows.push({
        ...this.summaryRow(baseline, 'same', 0, solved),
        element_match_floor: null,
        element_match_ceiling: null,
      });
      this.work.beat({ baseline });
    }
    return rows;
  }

  /** A row of the summary, but for the bounds. */
  summaryRow(space: string, design: TransportDesign, draw: number, { summary }: SolvedPair) {
    const { marginal_residual, converged, ...figures } = summary;
    return {
      model_a: this.pair.a.model,
      model_b: this.pair.b.model,
      draw,
      design,
      space,
      seed: this.plan.spec.transport.seed,
      ...figures,
      converged: converged ? 1 : 0,
      marginal_error: marginal_residual,
    };
  }

  private async same(request: RowRequest, number: number): Promise<[Sample, Sample]> {
    const { run, plan, pair, work } = this;
    const atoms = await this.samples.draw(run, plan, pair.excluded, request, number, work);
    if (atoms.rows.length === 0)
      throw invalidInput(
        `transport between ${pair.a.model} and ${pair.b.model}: there is no atom that both embedded; add structures`,
      );
    return [atoms, atoms];
  }

  private async clouds(space: Space, from: Sample, to: Sample) {
    const { run, pair, work } = this;
    return {
      x: await this.samples.gather(run, pair.a, space, from, work),
      y: await this.samples.gather(run, pair.b, space, to, work),
    };
  }

  private options(design: TransportDesign, from: Sample, to: Sample): SolvePairOptions {
    const { solver, epsilon, marginal, debias } = this.plan.spec.transport;
    return {
      design,
      sourceElements: from.atomicNumbers,
      sinkElements: to.atomicNumbers,
      solver,
      epsilon,
      marginal,
      debias,
    };
  }

  private async anchors({ anchor_vectors }: ModelParts): Promise<Float32Array> {
    return decodeAnchorVectors(await this.runs.store(this.run).get(anchor_vectors.key, this.work)).vectors;
  }
}

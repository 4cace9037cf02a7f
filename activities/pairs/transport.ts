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
import type { Space, TransportDesign } from '../../config/names.js';
import type { SolvedPair, SolvePairOptions } from '../../latent/transport/solvePair.js';
import { invalidInput } from '../engine/failures.js';
import { anchorPart } from '../project/anchorVectors.js';
import { modelInBasis } from '../project/projected.js';
import type { ItemTask, PlanDocument } from '../run/documents.js';
import type { Computed, ItemStage } from '../run/itemStage.js';
import type { CacheKind, PlannedRun } from '../run/openRun.js';
import { transportDraws } from '../selection/select.js';
import { pairKey, pairPlace } from './pairs.js';
import { RowChoice, type Sample } from './rows.js';
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
export const transportStage: ItemStage<'transport', TransportReceipt> = {
  stage: 'transport',
  key: (run, { basis, item }) => pairKey(run, basis, transportParams(run.plan), item),
  compute: transportPair,
};

async function transportPair(run: PlannedRun, task: ItemTask<'transport'>): Promise<Computed<TransportReceipt>> {
  const { basis, item } = task;
  const place = pairPlace(run, basis, transportParams(run.plan), item);
  const names = { model_a: place.modelA, model_b: place.modelB };
  const solver = new PairSolver(run, basis, place.modelA, place.modelB);
  const ofModels = await Promise.all([place.modelA, place.modelB].map((model) => boundsOf(run, basis, model)));
  const rows: TransportRow[] = [];
  const images: TransportBarycentric[] = [];
  const summaries: TransportSummaryRow[] = [];
  const elements = new Map<string, ElementTransportRow>();
  for (const { design, draw, number } of drawsOf(run.spec)) {
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
    addElements(elements, solved, { ...names, design }, run.spec.transport.draws);
    run.work.beat({ draw: number });
  }
  summaries.push(...(await solver.baselines()));

  const elementRows = [...elements.values()].sort(
    (p, q) =>
      (p.design === q.design ? 0 : p.design < q.design ? 1 : -1) ||
      p.source_element - q.source_element ||
      p.target_element - q.target_element,
  );
  const joined = joinImages(images);
  const rowsPart = (table: keys.PairRowsTable, bytes: Uint8Array, count: number) =>
    run.putPart((sha) => keys.pairRowsPart(table, place, 0, sha), bytes, count);
  const pairPart = (table: keys.PairTable, bytes: Uint8Array, count: number) =>
    run.putPart((sha) => keys.pairPart(table, place, sha), bytes, count);
  const [transport, transport_barycentric, transport_summary, element_transport] = await Promise.all([
    rowsPart('transport', await transportTable.encode(rows), rows.length),
    rowsPart('transport_barycentric', encodeTransportBarycentric(joined), joined.draws.length),
    pairPart('transport_summary', await transportSummaryTable.encode(summaries), summaries.length),
    pairPart('element_transport', await elementTransportTable.encode(elementRows), elementRows.length),
  ]);
  return { made: { outputs: { transport, transport_barycentric, transport_summary, element_transport } } };
}

/** The plans of a pair: `number` tells them apart and decides the rows, `draw` counts within the design. */
function drawsOf({ transport }: RunSpec) {
  return transport.designs.flatMap((design) =>
    transportDraws(transport, design).map((number, draw) => ({ design, draw, number })),
  );
}

const BOUNDS: CacheKind<BoundsReceipt['bounds']> = { kind: 'element bounds', room: 256, sizeOf: () => 1 };

/** Floor and ceiling of one model's element match, from the disjoint draws of all structures that it embedded. Computed once for all its pairs. */
async function boundsOf(run: PlannedRun, basis: string, model: string): Promise<BoundsReceipt['bounds']> {
  const { sample, seed } = run.spec.transport;
  const draws = transportDraws(run.spec.transport, 'disjoint');
  const { digest } = await modelInBasis(run, model, basis);
  const key = digestJson({ model: digest, basis, sample, seed, draws, version: TRANSPORT_VERSION });
  const make = async () => {
    const known = await findReceipt<BoundsReceipt>(run.store, 'element_bounds', key, run.work);
    if (known) return known.bounds;
    const record = await run.basis(basis);
    const choice = new RowChoice(run, basis, [model]);
    const made: BoundsReceipt['bounds'] = [];
    for (const draw of draws) {
      const [from, to] = await choice.disjoint({ sample, seed, draw });
      const [x, y] = [await choice.vectors(model, 'coordinates', from), await choice.vectors(model, 'coordinates', to)];
      const task = {
        x,
        y,
        sourceElements: from.atomicNumbers,
        sinkElements: to.atomicNumbers,
        anchorElements: Int32Array.from(record.anchors, ({ atomic_number }) => atomic_number),
        centred: record.centre === 'anchors',
      };
      made.push(from.rows.length === 0 ? null : await run.compute('elementBounds', task));
      run.work.beat({ draw });
    }
    await writeReceipt<BoundsReceipt>(run.store, 'element_bounds', key, { outputs: {}, bounds: made }, run.work);
    return made;
  };
  return run.cached(BOUNDS, key, make);
}

/** Draws, gathers and solves for one pair. */
class PairSolver {
  private readonly choice: RowChoice;

  constructor(
    private readonly run: PlannedRun,
    private readonly basis: string,
    private readonly a: string,
    private readonly b: string,
  ) {
    this.choice = new RowChoice(run, basis, [a, b]);
  }

  /** Sources and targets of draw `number`. @throws a final failure when the models share no atom */
  async samplesOf(design: TransportDesign, number: number): Promise<[Sample, Sample]> {
    const { sample, seed } = this.run.spec.transport;
    if (design === 'disjoint') return this.choice.disjoint({ sample, seed, draw: number });
    return this.same(sample, number);
  }

  /** The plan of the spec's solver between the coordinates of two samples; the first draw of a design has images. */
  async solve(design: TransportDesign, draw: number, from: Sample, to: Sample): Promise<SolvedPair> {
    const options = { ...this.options(design, from, to), barycentric: draw === 0 };
    return this.run.compute('solvePair', { ...(await this.clouds('coordinates', from, to)), options });
  }

  /** Summaries of the baselines that the spec asks for, on the first draw of the same atoms. */
  async baselines(): Promise<TransportSummaryRow[]> {
    const { sample, baselines, epsilon } = this.run.spec.transport;
    const rows: TransportSummaryRow[] = [];
    for (const baseline of baselines) {
      const [from, to] = await this.same(baseline === 'gromov' ? Math.min(sample, GROMOV_ROWS) : sample, 0);
      const clouds = await this.clouds('embeddings', from, to);
      const options: SolvePairOptions = { ...this.options('same', from, to), solver: 'exact', epsilon };
      const solved =
        baseline === 'gromov'
          ? await this.run.compute('gromovPair', { ...clouds, options })
          : await this.run.compute('solveMappedPair', {
              ...clouds,
              xAnchors: await this.anchors(this.a),
              yAnchors: await this.anchors(this.b),
              options,
            });
      rows.push({
        ...this.summaryRow(baseline, 'same', 0, solved),
        element_match_floor: null,
        element_match_ceiling: null,
      });
      this.run.work.beat({ baseline });
    }
    return rows;
  }

  /** A row of the summary, but for the bounds. */
  summaryRow(space: string, design: TransportDesign, draw: number, { summary }: SolvedPair) {
    const { marginal_residual, converged, ...figures } = summary;
    return {
      model_a: this.a,
      model_b: this.b,
      draw,
      design,
      space,
      seed: this.run.spec.transport.seed,
      ...figures,
      converged: converged ? 1 : 0,
      marginal_error: marginal_residual,
    };
  }

  private async same(sample: number, draw: number): Promise<[Sample, Sample]> {
    const atoms = await this.choice.draw({ sample, seed: this.run.spec.transport.seed, draw });
    if (atoms.rows.length === 0)
      throw invalidInput(
        `transport between ${this.a} and ${this.b}: there is no atom that both embedded; add structures`,
      );
    return [atoms, atoms];
  }

  private async clouds(space: Space, from: Sample, to: Sample) {
    return {
      x: await this.choice.vectors(this.a, space, from),
      y: await this.choice.vectors(this.b, space, to),
    };
  }

  private options(design: TransportDesign, from: Sample, to: Sample): SolvePairOptions {
    const { solver, epsilon, marginal, debias } = this.run.spec.transport;
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

  private async anchors(model: string): Promise<Float32Array> {
    const { key } = await anchorPart(this.run, this.basis, model);
    return decodeAnchorVectors(await this.run.get(key)).vectors;
  }
}

import { digestJson } from '../datasets/digest.js';
import * as keys from '../datasets/keys.js';
import type { PartEntry } from '../datasets/manifest.js';
import { findReceipt, writeReceipt } from '../datasets/receipts.js';
import { elementTransportTable, type ElementTransportRow } from '../datasets/tables/elementTransport.js';
import { transportTable, type TransportRow } from '../datasets/tables/transport.js';
import { transportSummaryTable, type TransportSummaryRow } from '../datasets/tables/transportSummary.js';
import { tallyOf, type Tally, type ItemTask, type PlanDocument } from './documents.js';
import type { Work } from './heartbeat.js';
import { pairKey, pairPlace, readPair } from './pairs.js';
import type { Runs } from './runs.js';
import type { Samples } from './samples.js';

/** Version of the numbers: raise it when the same coordinates may give other plans. */
const TRANSPORT_VERSION = 1;

/** What one pair published. */
export interface TransportReceipt {
  outputs: { transport: PartEntry; transport_summary: PartEntry; element_transport: PartEntry };
}

/** Name of the parameters of transport, a folder of the layout. */
export function transportParams({ spec }: PlanDocument): string {
  return digestJson({ ...spec.transport, version: TRANSPORT_VERSION }).slice(0, 16);
}

/** The transport stage: an optimal plan between two models' coordinates, draw by draw. */
export function transportStage(runs: Runs, samples: Samples) {
  return {
    /** Solves pair `item` and writes plan rows, summary and element plan. */
    async transport({ run, item, argument: basis }: ItemTask, work: Work): Promise<Tally> {
      const plan = await runs.plan(run);
      const store = runs.store(run);
      const { a, b, excluded } = await readPair(runs, run, plan, item, basis, work);
      const key = pairKey(plan, basis, transportParams(plan), a, b);
      if (await findReceipt<TransportReceipt>(store, 'transport', key, work)) return tallyOf({ reused: 1 });
      if (work.lookupOnly) return tallyOf({ done: 0 });

      const { sample, draws, seed, solver, epsilon } = plan.spec.transport;
      const rows: TransportRow[] = [];
      const summaries: TransportSummaryRow[] = [];
      const elements = new Map<string, ElementTransportRow>();
      const request = { sample, seed, draws: [...Array(draws).keys()] };
      for (const draw of request.draws) {
        const atoms = await samples.draw(run, plan, excluded, request, draw, work);
        const x = await samples.gather(run, a, 'coordinates', atoms, work);
        const y = await samples.gather(run, b, 'coordinates', atoms, work);
        const solved = await runs.deps.compute.call(
          'solvePair',
          { x: x.vectors, y: y.vectors, dim: x.dim, atomicNumbers: atoms.atomicNumbers, solver, epsilon },
          { signal: work.signal },
        );
        const { source, sink, mass, cost } = solved.plan;
        for (let arc = 0; arc < mass.length; arc++) {
          const [from, to] = [atoms.rows[source[arc]], atoms.rows[sink[arc]]];
          rows.push({
            draw,
            source_material_id: from.materialId,
            source_atom_index: from.atomIndex,
            target_material_id: to.materialId,
            target_atom_index: to.atomIndex,
            mass: mass[arc],
            cost: cost[arc],
          });
        }
        const { summary } = solved;
        summaries.push({
          model_a: a.model,
          model_b: b.model,
          draw,
          design: 'same',
          solver: summary.solver,
          n: summary.n,
          m: summary.m,
          cost: summary.cost,
          dual: summary.dual,
          gap: summary.gap,
          paired_cost: summary.paired_cost,
          random_cost: summary.random_cost,
          alignment_ratio: summary.alignment_ratio,
          identity_mass: summary.identity_mass,
          element_match_mass: summary.element_match_mass,
          dropped_mass: summary.dropped_mass,
          seed,
          epsilon: summary.epsilon,
          iterations: summary.iterations,
          marginal_error: summary.marginal_residual,
        });
        solved.elements.mass.forEach((moved, i) => {
          const [source_element, target_element] = [solved.elements.sourceElement[i], solved.elements.targetElement[i]];
          const cell = `${source_element}>${target_element}`;
          const row = elements.get(cell) ?? {
            model_a: a.model,
            model_b: b.model,
            source_element,
            target_element,
            mass: 0,
          };
          row.mass += moved / draws;
          elements.set(cell, row);
        });
        work.beat({ draw });
      }
      const elementRows = [...elements.values()].sort(
        (p, q) => p.source_element - q.source_element || p.target_element - q.target_element,
      );
      const place = pairPlace(plan, basis, transportParams(plan), a, b);
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

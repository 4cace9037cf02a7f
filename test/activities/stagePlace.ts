import { mkdtempSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createStages } from '../../activities/index.js';
import type {
  FanOutStage,
  ItemTask,
  PlanDocument,
  PlanRef,
  PlanSummary,
  RequestRef,
  ShardEntry,
  StageInput,
  Tally,
} from '../../activities/run/documents.js';
import type { Work } from '../../activities/engine/heartbeat.js';
import { RunMemory, type ActivityDependencies } from '../../activities/run/openRun.js';
import { addTally, emptyTally } from '../../config/tally.js';
import { parseRunSpec } from '../../config/runSpec.js';
import type { BasisRecord } from '../../datasets/basis.js';
import { readJson } from '../../datasets/json.js';
import type { ObjectStore } from '../../datasets/store/objectStore.js';
import { anchors, basisRecord } from '../../datasets/keys.js';
import { anchorsTable } from '../../datasets/tables/anchors.js';
import type { Structure } from '../../structures/structure.js';
import { extendedXyz, NO_DIAGNOSTICS } from '../orchestration/koine.js';
import { sharedPath } from '../support/shared.js';

/** A run's stages as plain functions on real threads, real networks and a folder: no engine. */
export class StagePlace {
  readonly folder = mkdtempSync(join(tmpdir(), 'koine-stages-'));
  readonly output = join(this.folder, 'out');
  readonly store: ObjectStore;
  /** Each has its own memory of documents, as another worker process would. */
  stages: ReturnType<typeof createStages>;
  /** Items are done from the last to the first. */
  backwards = false;

  constructor(private readonly dependencies: ActivityDependencies) {
    this.store = dependencies.openStore(this.output);
    this.stages = createStages(dependencies);
  }

  /** Forgets all documents, as a new process does. */
  restart(): void {
    this.stages = createStages(this.dependencies);
  }

  work(signal = new AbortController().signal): Work {
    return { signal, cursor: undefined, beat: () => undefined };
  }

  /** Writes structures as the source file of the runs here. */
  async source(structures: readonly Structure[], name = 'source.extxyz'): Promise<string> {
    const path = join(this.folder, name);
    await writeFile(path, extendedXyz(structures));
    return path;
  }

  /** All items of a fan-out, one after the other. */
  async map(input: StageInput, items: number): Promise<Tally> {
    const total = emptyTally();
    const run = this.stages[input.stage] as (task: ItemTask, work: Work) => Promise<Tally>;
    const order = Array.from({ length: items }, (_, item) => item);
    for (const item of this.backwards ? order.reverse() : order)
      addTally(total, await run({ ...input, item }, this.work()));
    return total;
  }

  /** Writes the request of a run. Small by default: one network, shards of about four structures, no diagnostics. */
  async request(fields: Record<string, unknown>): Promise<RequestRef> {
    const spec = parseRunSpec(
      {
        name: 'stages',
        source: [{ path: join(this.folder, 'source.extxyz') }],
        models: ['mace-random-tiny'],
        model_store: fields.model_store ?? [sharedPath('models')],
        output: this.output,
        shards: { structures: 4 },
        diagnostics: NO_DIAGNOSTICS,
        ...fields,
      },
      'test',
    );
    const memory = new RunMemory(this.dependencies);
    const request = await memory.writeRequest(this.output, { spec, replace: false }, this.work());
    return { output: this.output, request };
  }

  /** From the sources to a snapshot in its place. */
  async snapshot(run: RequestRef) {
    const { stages } = this;
    const listed = await stages.listSources(run, this.work());
    await this.map({ stage: 'scan', run, listing: listed.listing }, listed.large);
    const { listing, units } = await stages.listUnits(run, listed.listing, this.work());
    const read = await this.map({ stage: 'read', run, listing }, units);
    const { merge, pages } = await stages.planMerge(run, listing, this.work());
    await this.map({ stage: 'merge', run, merge }, pages);
    const sealed = await stages.sealSnapshot(run, merge, this.work());
    await this.map({ stage: 'place', run, seal: sealed.seal }, sealed.pages);
    await stages.openSnapshot(run, sealed.seal, this.work());
    return { ...sealed, read };
  }

  /** Everything up to the plan. */
  async plan(fields: Record<string, unknown>) {
    const request = await this.request(fields);
    const { seal } = await this.snapshot(request);
    const summary = await this.stages.planRun(request, seal, this.work());
    const run: PlanRef = { output: this.output, plan: summary.document };
    return { request, run, summary, plan: (await readJson<PlanDocument>(this.store, summary.document))! };
  }

  /** Embeds one shard. */
  embed(run: PlanRef, item: number, work = this.work(), model = 'mace-random-tiny'): Promise<Tally> {
    return this.stages.embed({ stage: 'embed', run, model, item }, work);
  }

  /** Everything up to the embeddings of every model. */
  async embedded(fields: Record<string, unknown>) {
    const planned = await this.plan(fields);
    const { run, summary } = planned;
    for (const model of summary.models) {
      await this.map({ stage: 'embed', run, model }, summary.shards);
      await this.map({ stage: 'embedded', run, model }, summary.pages);
    }
    return planned;
  }

  /** The basis of a run whose models are embedded: the steps of `fitBasis` in workflows/alignDatabase.ts. */
  async basis(run: PlanRef, { shards, pages, anchorChoice, referenceModel: model }: PlanSummary): Promise<string> {
    const { stages } = this;
    let pass = '';
    if (anchorChoice === 'ranks') await this.map({ stage: 'rankAtoms', run, model }, pages);
    if (anchorChoice === 'clusters') {
      await this.map({ stage: 'statistics', run, model }, pages);
      pass = (await stages.fitProjection(run, this.work())).key;
      for (let status = ''; status !== 'clustered';) {
        await this.map({ stage: 'summarise', run, model, pass }, shards);
        ({ status, key: pass } = await stages.clusterLeaves(run, pass, this.work()));
      }
    }
    for (;;) {
      if (anchorChoice === 'clusters') await this.map({ stage: 'nominate', run, model, pass }, shards);
      const chosen = await stages.chooseAnchors(run, pass, this.work());
      if (chosen.status === 'chosen') return chosen.basis;
      pass = chosen.key;
    }
  }

  /** Coordinates of every model in a basis, and what pairs and diagnostics look at. */
  async projected(run: PlanRef, { models, shards, pages }: PlanSummary, basis: string): Promise<void> {
    for (const model of models) {
      await this.stages.anchorVectors(run, basis, model, this.work());
      await this.map({ stage: 'project', run, model, basis }, shards);
      await this.map({ stage: 'projected', run, model, basis }, pages);
    }
    await this.map({ stage: 'select', run }, pages);
    for (const model of models) await this.map({ stage: 'gather', run, model, basis }, pages);
  }

  /** All diagnostics of a plan; tallies by stage. */
  async diagnosed(run: PlanRef, { diagnostics }: PlanSummary, basis: string) {
    const tallies: Partial<Record<FanOutStage, { computed: number; reused: number }>> = {};
    for (const { stage, items } of diagnostics) {
      const { done, reused } = await this.map({ stage, run, basis }, items);
      tallies[stage] = { computed: done - reused, reused };
    }
    return tallies;
  }

  /** The record of a basis, and its anchors as the table has them. */
  async readBasis(basis: string) {
    return {
      record: (await readJson<BasisRecord>(this.store, basisRecord(basis)))!,
      rows: (await anchorsTable.decode(await this.store.get(anchors(basis)))).rows,
    };
  }

  /** Keys of the objects below a prefix. */
  async keys(prefix: string): Promise<string[]> {
    const found: string[] = [];
    for await (const { key } of this.store.list(prefix)) found.push(key);
    return found;
  }

  /** The entries of all shards of a snapshot, straight from the store. */
  async shards(snapshot: string): Promise<ShardEntry[]> {
    const lists = await this.keys(`snapshots/${snapshot}/shards/`);
    const entries = await Promise.all(lists.map((key) => readJson<ShardEntry[]>(this.store, key)));
    return entries.flatMap((list) => list!);
  }

  /** Deletes the folder. */
  async close(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}

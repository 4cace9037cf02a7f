import { mkdtempSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createStages } from '../../activities/index.js';
import type { PlanDocument, PlanSummary, RunRef, ShardEntry, Tally } from '../../activities/run/documents.js';
import type { Work } from '../../activities/engine/heartbeat.js';
import { Runs, type ActivityDependencies } from '../../activities/run/runs.js';
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
  readonly runs: Runs;
  /** Each has its own memory of documents, as another worker process would. */
  stages: ReturnType<typeof createStages>;

  constructor(private readonly dependencies: ActivityDependencies) {
    this.store = dependencies.openStore(this.output);
    this.runs = new Runs(dependencies);
    this.stages = createStages(dependencies);
  }

  /** Forgets all documents, as a new process does. */
  restart(): void {
    this.stages = createStages(this.dependencies);
  }

  work(signal = new AbortController().signal): Work {
    return { signal, cursor: undefined, lookupOnly: false, beat: () => undefined };
  }

  /** Writes structures as the source file of the runs here. */
  async source(structures: readonly Structure[], name = 'source.extxyz'): Promise<string> {
    const path = join(this.folder, name);
    await writeFile(path, extendedXyz(structures));
    return path;
  }

  /** Writes the request of a run. Small by default: one network, shards of about four structures, no diagnostics. */
  async request(fields: Record<string, unknown>): Promise<RunRef> {
    const spec = parseRunSpec(
      {
        name: 'stages',
        source: [{ path: join(this.folder, 'source.extxyz') }],
        models: ['mace-random-tiny'],
        model_store: [sharedPath('models')],
        output: this.output,
        shards: { structures: 4 },
        diagnostics: NO_DIAGNOSTICS,
        ...fields,
      },
      'test',
    );
    const run: RunRef = { output: this.output, document: '' };
    return { ...run, document: await this.runs.write(run, 'requests', { spec, replace: false }) };
  }

  /** listSources, read, assembleSnapshot. */
  async snapshot(request: RunRef) {
    const { units } = await this.stages.listSources(request, this.work());
    const readings: Tally[] = [];
    for (let item = 0; item < units; item++)
      readings.push(await this.stages.read({ run: request, model: null, item, argument: '' }, this.work()));
    return { ...(await this.stages.assembleSnapshot(request, this.work())), readings };
  }

  /** Everything up to the plan. */
  async plan(fields: Record<string, unknown>): Promise<{ run: RunRef; summary: PlanSummary; plan: PlanDocument }> {
    const request = await this.request(fields);
    const { snapshot } = await this.snapshot(request);
    const summary = await this.stages.planRun(request, snapshot, this.work());
    const run = { output: this.output, document: summary.document };
    return { run, summary, plan: (await readJson<PlanDocument>(this.store, summary.document))! };
  }

  /** Embeds one shard. */
  embed(run: RunRef, item: number, work = this.work(), model = 'mace-random-tiny'): Promise<Tally> {
    return this.stages.embed({ run, model, item, argument: '' }, work);
  }

  /** Everything up to the embeddings of every model. */
  async embedded(fields: Record<string, unknown>) {
    const planned = await this.plan(fields);
    for (const model of planned.summary.models)
      for (let item = 0; item < planned.summary.shards; item++) await this.embed(planned.run, item, undefined, model);
    return planned;
  }

  /** The basis of a run whose models are embedded: the steps of `fitBasis` in workflows/alignDatabase.ts. */
  async basis(run: RunRef, { shards, basisPasses, referenceModel: model }: PlanSummary): Promise<string> {
    const { stages } = this;
    const each = async (stage: 'summarise' | 'nominate', argument: string) => {
      for (let item = 0; item < shards; item++) await stages[stage]({ run, model, item, argument }, this.work());
    };
    let pass = '';
    if (basisPasses) {
      await stages.statistics({ run, model, item: 0, argument: '0' }, this.work()); // one group: at most 64 shards
      pass = (await stages.fitProjection(run, this.work())).key;
      for (let status = ''; status !== 'clustered';) {
        await each('summarise', pass);
        ({ status, key: pass } = await stages.clusterLeaves(run, pass, this.work()));
      }
    }
    for (;;) {
      if (basisPasses) await each('nominate', pass);
      const chosen = await stages.chooseAnchors(run, pass, this.work());
      if (chosen.status === 'chosen') return chosen.basis;
      pass = chosen.key;
    }
  }

  /** Coordinates of every model in a basis. */
  async projected(run: RunRef, { models, shards }: PlanSummary, basis: string): Promise<void> {
    for (const model of models) {
      await this.stages.anchorVectors(run, basis, model, this.work());
      for (let item = 0; item < shards; item++)
        await this.stages.project({ run, model, item, argument: basis }, this.work());
      await this.stages.collectModel(run, basis, model, this.work());
    }
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

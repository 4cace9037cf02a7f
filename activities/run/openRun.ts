import type { BasisRecord } from '../../datasets/basis.js';
import { canonicalJsonBytes } from '../../datasets/canonicalJson.js';
import { compareCodePoints } from '../../text/codePoints.js';
import { digestJson, sha256Hex } from '../../datasets/digest.js';
import * as keys from '../../datasets/keys.js';
import type { PartEntry } from '../../datasets/manifest.js';
import type { ObjectStore } from '../../datasets/store/objectStore.js';
import { mapWindow, prefetched, REQUESTS_AT_ONCE } from '../../datasets/store/window.js';
import type { Provider } from '../../models/graphBatch.js';
import type { InferencePool } from '../../models/inferencePool.js';
import type { ModelStore, ResolvedModel } from '../../models/store.js';
import type { CallOptions, ThreadPool } from '../../threads/pool.js';
import type { ComputeTasks } from '../compute/computeThread.js';
import { invalidInput } from '../engine/failures.js';
import type { Work } from '../engine/heartbeat.js';
import type {
  BasisPass,
  PageEntry,
  PlanDocument,
  PlannedModel,
  PlanRef,
  RequestDocument,
  RequestRef,
  ShardEntry,
} from './documents.js';
import { OnceCache } from './onceCache.js';

/** What activities are made of; wired in `workers/`. */
export interface ActivityDependencies {
  openStore: (url: string) => ObjectStore;
  /** Models of these locations; of the worker's own (its user's store, then the shipped one) where a run names none. */
  openModels: (locations: readonly string[] | undefined) => ModelStore;
  /** The pool for a provider; throws `ProviderUnavailable` where there is none. */
  inference: (provider: Provider) => InferencePool;
  compute: ThreadPool<ComputeTasks>;
}

/** Documents that a process remembers; the largest are lists of a page's shards, some 20 kB. */
const REMEMBERED = 1024;
/** Parts on their way while one is worked on; a part is some megabytes. */
const READ_AHEAD = 8;

/** A cache for one kind of things, bounded by the sum of their sizes. */
export interface CacheKind<T> {
  kind: string;
  room: number;
  sizeOf: (value: T) => number;
}

/** What a process remembers of all runs that it works on: only what cannot change. */
export class RunMemory {
  private readonly stores = new Map<string, ObjectStore>();
  readonly documents = new OnceCache<unknown>(REMEMBERED, () => 1);
  readonly models = new OnceCache<ResolvedModel>(REMEMBERED, () => 1);
  /** Outcomes of finished stages, by run. */
  readonly outcomes = new OnceCache<unknown>(REMEMBERED, () => 1);

  private readonly caches = new Map<string, OnceCache<unknown>>();

  constructor(readonly dependencies: ActivityDependencies) {}

  /** A cache of its own for what is large or dear to make: see {@link OnceCache}. */
  cache<T>(name: string, room: number, sizeOf: (value: T) => number): OnceCache<T> {
    const known = this.caches.get(name) ?? (new OnceCache<T>(room, sizeOf) as OnceCache<unknown>);
    this.caches.set(name, known);
    return known as OnceCache<T>;
  }

  store(url: string): ObjectStore {
    const known = this.stores.get(url) ?? this.dependencies.openStore(url);
    this.stores.set(url, known);
    return known;
  }

  /** The run before its plan, for one piece of work. */
  async requested(ref: RequestRef, work: Work): Promise<RequestedRun> {
    return new RequestedRun(this, ref, await this.document<RequestDocument>(ref.output, ref.request, work), work);
  }

  /** The planned run, for one piece of work. */
  async planned(ref: PlanRef, work: Work): Promise<PlannedRun> {
    return new PlannedRun(this, ref, await this.document<PlanDocument>(ref.output, ref.plan, work), work);
  }

  /** Writes what a run asks for. @returns its key */
  async writeRequest(output: string, request: RequestDocument, work: Work): Promise<string> {
    const key = keys.document('requests', digestJson(request));
    await this.store(output).putIfAbsent(key, canonicalJsonBytes(request), work);
    return key;
  }

  /** A run whose plan is still being made: it has no key, so nothing of it is remembered under it. */
  unwritten(ref: RequestRef, plan: PlanDocument, work: Work): PlannedRun {
    return new PlannedRun(this, { output: ref.output, plan: '' }, plan, work);
  }

  /** An immutable JSON object of a store, read once. */
  document<T>(output: string, key: string, work: Work): Promise<T> {
    const read = async () =>
      JSON.parse(Buffer.from(await this.store(output).get(key, work)).toString('utf8')) as unknown;
    return this.documents.get(`${output}\n${key}`, read, work.signal) as Promise<T>;
  }
}

/** A run as one activity sees it: its store, what it may compute with, and when to stop. */
export abstract class OpenRun {
  readonly store: ObjectStore;
  readonly dependencies: ActivityDependencies;

  constructor(
    protected readonly memory: RunMemory,
    readonly output: string,
    readonly work: Work,
  ) {
    this.store = memory.store(output);
    this.dependencies = memory.dependencies;
  }

  /** The value of a name in one of the caches of this process, made once for all who ask while it is being made. */
  cached<T>(cache: CacheKind<T>, name: string, make: () => Promise<T>): Promise<T> {
    const { kind, room, sizeOf } = cache;
    return this.memory.cache(kind, room, sizeOf).get(`${this.output}\n${name}`, make, this.work.signal);
  }

  /** Bytes of an object. @throws {ObjectNotFound} */
  get(key: string): Promise<Uint8Array> {
    return this.store.get(key, this.work);
  }

  /** An immutable JSON object, remembered by the process. @throws {ObjectNotFound} */
  document<T>(key: string): Promise<T> {
    return this.memory.document(this.output, key, this.work);
  }

  /** Writes a document under the digest of its content. @returns its key */
  async write(kind: keys.DocumentKind, document: object): Promise<string> {
    const key = keys.document(kind, digestJson(document));
    await this.store.putIfAbsent(key, canonicalJsonBytes(document), this.work);
    return key;
  }

  /** Puts bytes under a key made from their digest; an object that is there already with another size is mended. */
  async putPart(keyOf: (sha256: string) => string, bytes: Uint8Array, rows: number): Promise<PartEntry> {
    const sha256 = sha256Hex(bytes);
    const key = keyOf(sha256);
    if ((await this.store.putIfAbsent(key, bytes, this.work)) === 'exists') {
      const there = await this.store.head(key, this.work);
      if (there?.bytes !== bytes.length) await this.store.put(key, bytes, this.work);
    }
    return { key, bytes: bytes.length, rows, sha256 };
  }

  /** Does `action` for many things that wait for the store, a bounded number at once. @returns the results in order */
  many<T, R>(items: Iterable<T>, action: (item: T) => Promise<R>): Promise<R[]> {
    return mapWindow(items, REQUESTS_AT_ONCE, action, this.work.signal);
  }

  /** Results of `action` in order, one after the other, while the next few are on their way: for what is too large to hold all at once. */
  ahead<T, R>(items: Iterable<T>, action: (item: T) => Promise<R>): AsyncIterable<R> {
    return prefetched(items, READ_AHEAD, action, this.work.signal);
  }

  /** Computes in a thread; cancellation ends it. */
  compute<Task extends keyof ComputeTasks>(
    task: Task,
    argument: Parameters<ComputeTasks[Task]>[0],
    options: Omit<CallOptions, 'signal'> = {},
  ): Promise<Awaited<ReturnType<ComputeTasks[Task]>>> {
    return this.dependencies.compute.call(task, argument, { ...options, signal: this.work.signal });
  }
}

/** A run whose sources are being read. */
export class RequestedRun extends OpenRun {
  constructor(
    memory: RunMemory,
    readonly ref: RequestRef,
    readonly request: RequestDocument,
    work: Work,
  ) {
    super(memory, ref.output, work);
  }

  get spec() {
    return this.request.spec;
  }
}

/** A run whose snapshot and models are known. */
export class PlannedRun extends OpenRun {
  constructor(
    memory: RunMemory,
    readonly ref: PlanRef,
    readonly plan: PlanDocument,
    work: Work,
  ) {
    super(memory, ref.output, work);
  }

  get spec() {
    return this.plan.spec;
  }

  get snapshot() {
    return this.plan.snapshot;
  }

  /** What a finished stage of this plan left, asked for once a process. */
  once<T>(name: string, make: () => Promise<T>): Promise<T> {
    return this.memory.outcomes.get(`${this.output}\n${this.ref.plan}\n${name}`, make, this.work.signal) as Promise<T>;
  }

  /** A model of the plan. */
  planned(id: string): PlannedModel {
    const planned = this.plan.models.find((model) => model.id === id);
    if (!planned) throw new Error(`activities: model ${id} is not in the plan`);
    return planned;
  }

  /** The model `id` of the plan, with the digest the plan was made with. */
  resolve(id: string): Promise<ResolvedModel> {
    const { onnx_sha256: wanted } = this.planned(id).identity;
    const find = async () => {
      const model = await this.dependencies.openModels(this.spec.model_store).resolve(id);
      if (model.onnxSha256 !== wanted)
        throw invalidInput(
          `model ${id}: the file in the store has digest ${model.onnxSha256}, the run was planned with ${wanted}; start a new run`,
        );
      return model;
    };
    return this.memory.models.get(`${id}@${wanted}`, find, this.work.signal);
  }

  pass(key: string): Promise<BasisPass> {
    return this.document(key);
  }

  basis(basis: string): Promise<BasisRecord> {
    return this.document(keys.basisRecord(basis));
  }

  /** Page `index` of the snapshot. */
  page(index: number): PageEntry {
    const page = this.snapshot.pages[index];
    if (!page) throw new RangeError(`activities: snapshot ${this.snapshot.snapshot} has no page ${index}`);
    return page;
  }

  /** The shards of a page, in order. */
  shardsOf(page: number): Promise<ShardEntry[]> {
    return this.document(keys.shardPage(this.snapshot.snapshot, page));
  }

  /** Number of the page that holds shard `shard`. */
  pageOf(shard: number): number {
    const { pages, snapshot } = this.snapshot;
    let [low, high] = [0, pages.length];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (pages[middle].start <= shard) low = middle;
      else high = middle;
    }
    if (!pages[low] || shard < 0 || shard >= pages[low].start + pages[low].shards)
      throw new RangeError(`activities: snapshot ${snapshot} has no shard ${shard}`);
    return low;
  }

  /** Shard `index` of the snapshot. */
  async shard(index: number): Promise<ShardEntry> {
    const page = this.pageOf(index);
    return (await this.shardsOf(page))[index - this.page(page).start];
  }

  /** The shards in whose span of ids some of these lie, each with the ids; what lies in no span is left out. */
  async shardsHolding(materialIds: Iterable<string>): Promise<Map<number, Set<string>>> {
    const wanted = [...new Set(materialIds)].sort(compareCodePoints);
    const found = new Map<number, Set<string>>();
    const { pages } = this.snapshot;
    const byPage = within(wanted, pages);
    const lists = await this.many(byPage.keys(), async (page) => [page, await this.shardsOf(page)] as const);
    for (const [page, shards] of lists)
      for (const [at, ids] of within(byPage.get(page)!, shards)) found.set(pages[page].start + at, new Set(ids));
    return found;
  }
}

/** Those of the sorted ids that lie in each of the sorted spans, by the number of the span. */
function within(ids: readonly string[], spans: readonly { first: string; last: string }[]): Map<number, string[]> {
  const found = new Map<number, string[]>();
  for (let span = 0, next = 0; span < spans.length && next < ids.length; span++) {
    const { first, last } = spans[span];
    while (next < ids.length && compareCodePoints(ids[next], first) < 0) next++;
    const from = next;
    while (next < ids.length && compareCodePoints(ids[next], last) <= 0) next++;
    if (next > from) found.set(span, ids.slice(from, next));
  }
  return found;
}

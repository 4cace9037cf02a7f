import type { ModelStore, ResolvedModel } from '../../models/store.js';
import type { Provider } from '../../models/graphBatch.js';
import type { InferencePool } from '../../models/inferencePool.js';
import type { ThreadPool } from '../../threads/pool.js';
import type { BasisRecord } from '../../datasets/basis.js';
import type { ObjectStore, StoreOptions } from '../../datasets/store/objectStore.js';
import { canonicalJsonBytes } from '../../datasets/canonicalJson.js';
import { compareCodePoints } from '../../text/codePoints.js';
import * as keys from '../../datasets/keys.js';
import type { PartEntry } from '../../datasets/manifest.js';
import { digestJson, sha256Hex } from '../../datasets/digest.js';
import type { ComputeTasks } from '../compute/computeThread.js';
import type {
  BasisPass,
  PlanDocument,
  PlannedModel,
  RequestDocument,
  RunRef,
  ShardEntry,
  SnapshotDocument,
} from './documents.js';
import { invalidInput } from '../engine/failures.js';

/** What activities are made of; wired in `workers/`. */
export interface ActivityDependencies {
  openStore: (url: string) => ObjectStore;
  /** Models of these locations; of the worker's own (its user's store, then the shipped one) where a run names none. */
  openModels: (locations: readonly string[] | undefined) => ModelStore;
  /** The pool for a provider; throws `ProviderUnavailable` where there is none. */
  inference: (provider: Provider) => InferencePool;
  compute: ThreadPool<ComputeTasks>;
}

/** Shards listed in one object: an activity on shard i reads one list, whatever the size of the snapshot. */
export const SHARDS_PER_LIST = 1000;

const REMEMBERED = 256;

/** Reads and remembers the documents of runs; they are immutable, so a process reads each once. */
export class Runs {
  private readonly stores = new Map<string, ObjectStore>();
  private readonly documents = new Map<string, Promise<unknown>>();
  private readonly models = new Map<string, Promise<ResolvedModel>>();

  constructor(readonly deps: ActivityDependencies) {}

  store(run: RunRef): ObjectStore {
    const known = this.stores.get(run.output);
    if (known) return known;
    const store = this.deps.openStore(run.output);
    this.stores.set(run.output, store);
    return store;
  }

  request(run: RunRef): Promise<RequestDocument> {
    return this.document(run, run.document);
  }

  plan(run: RunRef): Promise<PlanDocument> {
    return this.document(run, run.document);
  }

  snapshot(run: RunRef, snapshot: string): Promise<SnapshotDocument> {
    return this.document(run, keys.snapshotDocument(snapshot));
  }

  pass(run: RunRef, key: string): Promise<BasisPass> {
    return this.document(run, key);
  }

  basis(run: RunRef, basis: string): Promise<BasisRecord> {
    return this.document(run, keys.basisRecord(basis));
  }

  /** A model of a plan. */
  planned(plan: PlanDocument, id: string | null): PlannedModel {
    const planned = plan.models.find((model) => model.id === id);
    if (!planned) throw new Error(`activities: model ${id} is not in the plan`);
    return planned;
  }

  /** The shards that hold structures, each with the ids it holds; ids that are in no shard's span are left out. */
  async shardsOf(run: RunRef, plan: PlanDocument, materialIds: readonly string[]): Promise<Map<number, Set<string>>> {
    const wanted = [...materialIds].sort(compareCodePoints);
    const found = new Map<number, Set<string>>();
    for (let index = 0, next = 0; index < plan.snapshot.shards && next < wanted.length; index++) {
      const { first, last } = await this.shard(run, plan.snapshot.snapshot, index);
      while (next < wanted.length && compareCodePoints(wanted[next], first) < 0) next++;
      const from = next;
      while (next < wanted.length && compareCodePoints(wanted[next], last) <= 0) next++;
      if (next > from) found.set(index, new Set(wanted.slice(from, next)));
    }
    return found;
  }

  /** Puts bytes under a key made from their digest; an object that is there already with another size is mended. */
  async putPart(
    run: RunRef,
    keyOf: (sha256: string) => string,
    bytes: Uint8Array,
    rows: number,
    options: StoreOptions,
  ): Promise<PartEntry> {
    const sha256 = sha256Hex(bytes);
    const key = keyOf(sha256);
    const store = this.store(run);
    if ((await store.putIfAbsent(key, bytes, options)) === 'exists') {
      const there = await store.head(key, options);
      if (there?.bytes !== bytes.length) await store.put(key, bytes, options);
    }
    return { key, bytes: bytes.length, rows, sha256 };
  }

  /** Shard `index` of the plan's snapshot. */
  async shard(run: RunRef, snapshot: string, index: number): Promise<ShardEntry> {
    const list = Math.floor(index / SHARDS_PER_LIST);
    const entries = await this.document<ShardEntry[]>(run, keys.shardList(snapshot, list));
    const entry = entries[index % SHARDS_PER_LIST];
    if (!entry) throw new Error(`activities: snapshot ${snapshot} has no shard ${index}`);
    return entry;
  }

  /** The model `id` of a plan, with the digest the plan was made with. */
  resolve(plan: PlanDocument, id: string): Promise<ResolvedModel> {
    const planned = this.planned(plan, id);
    const cacheKey = `${id}@${planned.identity.onnx_sha256}`;
    return remember(this.models, cacheKey, async () => {
      const model = await this.deps.openModels(plan.spec.model_store).resolve(id);
      if (model.onnxSha256 !== planned.identity.onnx_sha256)
        throw invalidInput(
          `model ${id}: the file in the store has digest ${model.onnxSha256}, the run was planned with ` +
            `${planned.identity.onnx_sha256}; start a new run`,
        );
      return model;
    });
  }

  /** Writes a document under the digest of its content. @returns its key */
  async write(run: RunRef, kind: 'requests' | 'plans' | 'passes', document: object): Promise<string> {
    const key = keys.document(kind, digestJson(document));
    await this.store(run).putIfAbsent(key, canonicalJsonBytes(document));
    return key;
  }

  private document<T>(run: RunRef, key: string): Promise<T> {
    return remember(
      this.documents,
      `${run.output}\n${key}`,
      async () => JSON.parse(Buffer.from(await this.store(run).get(key)).toString('utf8')) as unknown,
    ) as Promise<T>;
  }
}

/** The value under `key`, made on first use; failures are not remembered, old entries are forgotten. */
function remember<T>(cache: Map<string, Promise<T>>, key: string, make: () => Promise<T>): Promise<T> {
  const known = cache.get(key);
  if (known) return known;
  const made = make();
  cache.set(key, made);
  made.catch(() => cache.delete(key));
  const oldest = cache.keys().next();
  if (cache.size > REMEMBERED && !oldest.done) cache.delete(oldest.value);
  return made;
}

import { canonicalJson, canonicalJsonBytes } from './canonicalJson.js';
import { parseJson } from './json.js';
import * as keys from './keys.js';
import type { ObjectStore, StoreOptions } from './store/objectStore.js';
import { mapWindow, REQUESTS_AT_ONCE } from './store/window.js';

/** What decides the numbers of a model's embeddings of a snapshot. */
export interface ModelIdentity {
  onnx_sha256: string;
  /** Digest of what the model's card decides: cutoffs, inputs, elements. */
  contract_sha256: string;
  encoder_version: string;
  /** ONNX Runtime execution provider. */
  provider: string;
  batch_budget: { atoms: number; edges: number };
}

/** A run would publish a model id with another identity than the one already there. */
export class ModelConflict extends Error {
  override readonly name = 'ModelConflict';
  constructor(
    readonly model: string,
    readonly snapshot: string,
    readonly published: ModelIdentity,
    readonly wanted: ModelIdentity,
  ) {
    const differences = (Object.keys(wanted) as (keyof ModelIdentity)[])
      .filter((field) => canonicalJson(published[field] ?? null) !== canonicalJson(wanted[field]))
      .map(
        (field) =>
          `${field} is ${canonicalJson(published[field] ?? null)} there and ${canonicalJson(wanted[field])} here`,
      );
    super(
      `datasets: embeddings of model '${model}' for snapshot ${keys.shortId(snapshot)} come from something else: ` +
        `${differences.join(', ')}; give the model another id or output, or run with --replace`,
    );
  }
}

/**
 * Makes `identity` the one truth of (snapshot, model) in this output, before any part is written.
 * @param options.replace take over from another identity; the old parts lose their `_SUCCESS` marks now and are removed when
 * the new ones are published (`commitRun`)
 * @returns 'claimed' first, 'held' where it was so already, 'replaced' where another identity was
 * @throws {StoreRefused} where what is there is damaged
 * @throws {ModelConflict} where another identity holds it and `replace` is not set
 */
export async function claimModel(
  store: ObjectStore,
  snapshot: string,
  model: string,
  identity: ModelIdentity,
  options: StoreOptions & { replace?: boolean } = {},
): Promise<'claimed' | 'held' | 'replaced'> {
  const key = keys.claim(snapshot, model);
  const bytes = canonicalJsonBytes(identity);
  for (;;) {
    if ((await store.putIfAbsent(key, bytes, options)) === 'written') return 'claimed';
    const present = await store.getWithEtag(key, options);
    if (!present) continue; // removed between the two requests
    if (Buffer.compare(present.bytes, bytes) === 0) return 'held';
    if (!options.replace) throw conflict(store, snapshot, model, identity, present.bytes);
    // Marks go first: after a crash in between, the leaf is unmarked and the old identity still holds it, which is safe.
    await unmark(store, snapshot, model, options);
    if ((await store.putIfMatch(key, bytes, present.etag, options)) === 'written') return 'replaced';
  }
}

/** What a run claimed of one model. */
export interface ModelClaim {
  model: string;
  identity: ModelIdentity;
}

/** Whether claims still hold: another run may have taken a model over. @throws {ModelConflict} where one has */
export async function checkClaims(
  store: ObjectStore,
  snapshot: string,
  claims: readonly ModelClaim[],
  options: StoreOptions = {},
): Promise<void> {
  await mapWindow(
    claims,
    REQUESTS_AT_ONCE,
    async ({ model, identity }) => {
      const key = keys.claim(snapshot, model);
      const present = await store.getWithEtag(key, options);
      if (!present || Buffer.compare(present.bytes, canonicalJsonBytes(identity)) === 0) return;
      throw conflict(store, snapshot, model, identity, present.bytes);
    },
    options.signal,
  );
}

function conflict(
  store: ObjectStore,
  snapshot: string,
  model: string,
  wanted: ModelIdentity,
  present: Uint8Array,
): ModelConflict {
  const remedy = `delete it and run again where the embeddings of '${model}' are this network's, else run with --replace`;
  const published = parseJson(store, keys.claim(snapshot, model), present, remedy) as ModelIdentity;
  return new ModelConflict(model, snapshot, published, wanted);
}

async function unmark(store: ObjectStore, snapshot: string, model: string, options: StoreOptions): Promise<void> {
  const marks = [keys.successMark(keys.embeddingsLeaf(snapshot, model))];
  for (const folder of keys.derivedFolders(snapshot)) {
    for await (const { key } of store.list(folder, options)) {
      if (key === keys.successMark(keys.leafOf(key)) && keys.isDerivedFrom(key, model)) marks.push(key);
    }
  }
  await store.delete(marks, options);
}

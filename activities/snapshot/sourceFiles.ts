import { createReadStream } from 'node:fs';
import { BUNDLED_CRYSTALS } from '../../config/runSpec.js';
import { sha256Hex } from '../../datasets/digest.js';
import { readJson } from '../../datasets/json.js';
import * as keys from '../../datasets/keys.js';
import type { ObjectStore } from '../../datasets/store/objectStore.js';
import { bundledStructures } from '../../structures/bundled/bundled.js';
import { extendedXyz } from '../../structures/extendedXyz.js';
import { optimadeSources } from '../../structures/optimade.js';
import { localSources } from '../../structures/sources.js';
import type { ByteSource } from '../../structures/structure.js';
import type { RunRef, SourceUnit } from '../run/documents.js';
import { invalidInput } from '../engine/failures.js';
import type { Work } from '../engine/heartbeat.js';
import type { Runs } from '../run/runs.js';

/** The digest in the key of a request. */
export function requestName({ document }: RunRef): string {
  return document.slice(document.lastIndexOf('/') + 1, -'.json'.length);
}

/** Whether a structure's `source` begins with one of these. */
export function isFrom(source: string, prefixes: readonly string[]): boolean {
  return prefixes.some((prefix) => source.startsWith(prefix));
}

/** Files of one entry of `spec.source`. */
export async function* filesOf(
  path: string,
  store: ObjectStore,
  runs: Runs,
  work: Work,
): AsyncIterable<{ name: string; location: string }> {
  if (path.startsWith('s3://')) {
    const remote = runs.deps.openStore(path);
    let found = false;
    for await (const { key } of remote.list('', work)) {
      found = true;
      yield { name: key, location: `${path.replace(/\/$/, '')}/${key}` };
    }
    if (found) return;
    // The path may name one object rather than a prefix.
    const slash = path.lastIndexOf('/');
    if (!(await runs.deps.openStore(path.slice(0, slash)).head(path.slice(slash + 1), work)))
      throw invalidInput(`source ${path}: there is no object of this name and none below it`);
    yield { name: path.slice(slash + 1), location: path };
  } else if (path === BUNDLED_CRYSTALS) {
    // Kept like pages of a server: a worker of another version may come with other crystals.
    const bytes = Buffer.from(extendedXyz(bundledStructures()));
    const key = keys.bundledCrystals(sha256Hex(bytes));
    await store.putIfAbsent(key, bytes, work);
    yield { name: 'bundled/crystals.extxyz', location: `store:${key}` };
  } else if (/^https?:\/\//.test(path)) {
    // Pages are kept: a retry or a later stage must see what this listing saw.
    for await (const page of optimadeSources(path, { signal: work.signal })) {
      const bytes = await collect(page);
      const key = keys.optimadePage(sha256Hex(bytes));
      await store.putIfAbsent(key, bytes, work);
      yield { name: page.name, location: `store:${key}` };
    }
  } else {
    for await (const file of localSources(path)) yield { name: file.name, location: file.path };
  }
}

/** One unit of a request. @throws when the listing does not hold it */
export async function unitOf(store: ObjectStore, run: RunRef, item: number, work: Work): Promise<SourceUnit> {
  const unit = (await readJson<SourceUnit[]>(store, keys.sourceUnits(requestName(run)), work))?.[item];
  if (!unit) throw new Error(`activities: there is no source unit ${item}`);
  return unit;
}

/** Bytes of a listed file, wherever it lies. */
export function byteSource(
  { name, location }: { name: string; location: string },
  store: ObjectStore,
  runs: Runs,
  work: Work,
): ByteSource {
  const remote = location.startsWith('store:')
    ? () => store.get(location.slice('store:'.length), work)
    : location.startsWith('s3://')
      ? () =>
          runs.deps
            .openStore(location.slice(0, location.lastIndexOf('/')))
            .get(location.slice(location.lastIndexOf('/') + 1), work)
      : undefined;
  return {
    name,
    open: remote
      ? async function* () {
          yield await remote();
        }
      : () => createReadStream(location, { signal: work.signal, highWaterMark: 1 << 20 }),
  };
}

async function collect(source: ByteSource): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of source.open()) pieces.push(piece);
  return Buffer.concat(pieces);
}

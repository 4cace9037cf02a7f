import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { BUNDLED_CRYSTALS } from '../../config/runSpec.js';
import { sha256Hex } from '../../datasets/digest.js';
import * as keys from '../../datasets/keys.js';
import { bundledStructures } from '../../structures/bundled/bundled.js';
import { extendedXyz } from '../../structures/extendedXyz.js';
import { optimadeSources } from '../../structures/optimade.js';
import { fileStem } from '../../structures/readers/materialId.js';
import { localSources } from '../../structures/sources.js';
import type { ByteSource } from '../../structures/structure.js';
import type { ThreadFile } from '../compute/snapshotTasks.js';
import { invalidInput } from '../engine/failures.js';
import type { ListedFile } from '../run/documents.js';
import type { OpenRun } from '../run/openRun.js';

/** Objects of the run's own store among locations. */
const OWN = 'store:';

/** Whether a structure's `source` begins with one of these. */
export function isFrom(source: string, prefixes: readonly string[]): boolean {
  return prefixes.some((prefix) => source.startsWith(prefix));
}

/** Files of one entry of `spec.source`. */
export async function* filesOf(run: OpenRun, path: string): AsyncIterable<ListedFile> {
  if (path.startsWith('s3://')) yield* remoteFiles(run, path);
  else if (path === BUNDLED_CRYSTALS) {
    // Kept like pages of a server: a worker of another version may come with other crystals.
    const bytes = Buffer.from(extendedXyz(bundledStructures()));
    yield await keep(run, 'bundled/crystals.extxyz', keys.bundledCrystals, bytes);
  } else if (/^https?:\/\//.test(path)) {
    // Pages are kept: a retry or a later stage must see what this listing saw.
    for await (const page of optimadeSources(path, { signal: run.work.signal }))
      yield await keep(run, page.name, keys.optimadePage, await collect(page));
  } else {
    for await (const { name, stem = fileStem(name), path: location } of localSources(path))
      yield { name, stem, location, bytes: (await stat(location)).size, version: null };
  }
}

async function* remoteFiles(run: OpenRun, path: string): AsyncIterable<ListedFile> {
  const remote = run.dependencies.openStore(path);
  let found = false;
  for await (const { key, bytes, etag = null } of remote.list('', run.work)) {
    found = true;
    yield { name: key, stem: fileStem(key), location: `${path.replace(/\/$/, '')}/${key}`, bytes, version: etag };
  }
  if (found) return;
  // The path may name one object rather than a prefix.
  const slash = path.lastIndexOf('/');
  const name = path.slice(slash + 1);
  const object = await run.dependencies.openStore(path.slice(0, slash)).head(name, run.work);
  if (!object) throw invalidInput(`source ${path}: there is no object of this name and none below it`);
  yield { name, stem: fileStem(name), location: path, bytes: object.bytes, version: object.etag ?? null };
}

async function keep(
  run: OpenRun,
  name: string,
  keyOf: (sha256: string) => string,
  bytes: Uint8Array,
): Promise<ListedFile> {
  const sha256 = sha256Hex(bytes);
  const key = keyOf(sha256);
  await run.store.putIfAbsent(key, bytes, run.work);
  return { name, stem: fileStem(name), location: `${OWN}${key}`, bytes: bytes.length, version: sha256 };
}

/** A listed file as a thread reads it: by its path, or by asking for its bytes. */
export function threadFile({ name, stem, location, bytes }: ListedFile): ThreadFile {
  return { name, stem, path: isLocal(location) ? location : null, bytes };
}

/** Bytes [start, end) of a listed file that is not on this machine. */
export function remoteBytes(run: OpenRun, { location }: ListedFile, start: number, end: number): Promise<Uint8Array> {
  if (location.startsWith(OWN)) return run.store.getRange(location.slice(OWN.length), start, end, run.work);
  const slash = location.lastIndexOf('/');
  return run.dependencies.openStore(location.slice(0, slash)).getRange(location.slice(slash + 1), start, end, run.work);
}

/** Bytes of a small file that a spec names, wherever it lies. */
export function byteSource(run: OpenRun, { name, location }: Pick<ListedFile, 'name' | 'location'>): ByteSource {
  const slash = location.lastIndexOf('/');
  return {
    name,
    open: isLocal(location)
      ? () => createReadStream(location, { signal: run.work.signal })
      : async function* () {
          yield await run.dependencies.openStore(location.slice(0, slash)).get(location.slice(slash + 1), run.work);
        },
  };
}

function isLocal(location: string): boolean {
  return !location.startsWith(OWN) && !location.startsWith('s3://');
}

async function collect(source: ByteSource): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of source.open()) pieces.push(piece);
  return Buffer.concat(pieces);
}

import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join, resolve as absolutePath } from 'node:path';
import { ModelRefused, parseCard, type ModelCard } from './card.js';
import { closestFirst } from '../text/editDistance.js';

/** A place that holds `<id>/card.json` and `<id>/model.onnx` somewhere else, e.g. under an `s3://` prefix. */
export interface ModelFetcher {
  /** Shown in messages, e.g. `s3://bucket/models`. */
  name: string;
  /** Relative paths of the files there; those that are not `<id>/card.json` are ignored. */
  list(): Promise<string[]>;
  /** The bytes at one of those paths. */
  fetch(path: string): Promise<Uint8Array>;
}

/** A folder (its path) or a fetcher. */
export type ModelLocation = string | ModelFetcher;

/** A model ready to run: its files are local and agree with the card. */
export interface ResolvedModel {
  id: string;
  card: ModelCard;
  /** SHA-256 of the bytes of `card.json`. */
  cardSha256: string;
  /** SHA-256 of the ONNX file, equal to `card.onnx_sha256`. */
  onnxSha256: string;
  /** Local path of the ONNX file. */
  onnxPath: string;
}

/** One line of `koine models list`; a model whose card is refused is listed with the reason. */
export type ListedModel = { id: string; location: string } & ({ card: ModelCard } | { refused: string });

const MODEL_FILE = 'model.onnx';
const CARD_FILE = 'card.json';

/**
 * Models by id over an ordered list of locations; the first location that holds an id wins. Folders are used in place;
 * remote models are kept in a cache folder under their ONNX digest, so that one copy serves every location and process.
 */
export class ModelStore {
  private readonly locations: ModelFetcher[];
  /** path -> digest, valid while size and modification time stay the same. */
  private readonly digests = new Map<string, { stamp: string; sha256: string }>();

  /**
   * @param locations searched in order
   * @param cacheFolder where remote models are kept; needed only when a location is remote
   */
  constructor(
    locations: readonly ModelLocation[],
    private readonly cacheFolder?: string,
  ) {
    this.locations = locations.map((location) => (typeof location === 'string' ? new ModelFolder(location) : location));
  }

  /** Names of the locations in order, for messages. */
  get locationNames(): string[] {
    return this.locations.map(({ name }) => name);
  }

  /** Every model of every location, in order of location, then id; ids hidden by an earlier location are left out. */
  async list(): Promise<ListedModel[]> {
    const seen = new Set<string>();
    const listed: ListedModel[] = [];
    for (const location of this.locations) {
      for (const id of await idsOf(location)) {
        if (seen.has(id)) continue;
        seen.add(id);
        try {
          listed.push({ id, location: location.name, card: (await readCard(location, id)).card });
        } catch (error) {
          if (!(error instanceof ModelRefused)) throw error;
          listed.push({ id, location: location.name, refused: error.message });
        }
      }
    }
    return listed;
  }

  /**
   * Finds a model, brings its ONNX file here if it is remote, and checks its digest and size against the card.
   * @throws ModelRefused for an unknown id, a malformed card, or a file that is not the one the card describes
   */
  async resolve(id: string): Promise<ResolvedModel> {
    for (const location of this.locations) {
      if (!(await idsOf(location)).includes(id)) continue;
      const { card, sha256: cardSha256 } = await readCard(location, id);
      const onnxPath =
        location instanceof ModelFolder
          ? location.path(`${id}/${MODEL_FILE}`)
          : await this.download(location, id, card);
      const onnxSha256 = await this.digestOf(onnxPath);
      if (onnxSha256 !== card.onnx_sha256) {
        throw new ModelRefused(
          `models/store: ${location.name}/${id}/${MODEL_FILE} has SHA-256 ${onnxSha256}, but its card's onnx_sha256 is ` +
            `${card.onnx_sha256}: the file is damaged or the card belongs to another export; export the model again or restore the file`,
        );
      }
      return { id, card, cardSha256, onnxSha256, onnxPath };
    }
    throw await this.unknown(id);
  }

  private async download(location: ModelFetcher, id: string, card: ModelCard): Promise<string> {
    if (this.cacheFolder === undefined) {
      throw new Error(`models/store: ${location.name} is remote; a cache folder is needed to bring '${id}' here`);
    }
    const folder = join(this.cacheFolder, card.onnx_sha256);
    const path = join(folder, MODEL_FILE);
    const present = await stat(path).catch(ignoreMissing);
    if (present && (await this.digestOf(path)) === card.onnx_sha256) return path;

    const bytes = await location.fetch(`${id}/${MODEL_FILE}`);
    const sha256 = sha256Hex(bytes);
    if (sha256 !== card.onnx_sha256) {
      throw new ModelRefused(
        `models/store: ${location.name}/${id}/${MODEL_FILE} has SHA-256 ${sha256} (${bytes.length} bytes), but its card's ` +
          `onnx_sha256 is ${card.onnx_sha256} (${card.onnx_bytes} bytes): upload the file that the card describes`,
      );
    }
    // Written aside and renamed: a process that dies here, or two that race, never leave half a file under the digest.
    await mkdir(folder, { recursive: true });
    const aside = join(folder, `.${MODEL_FILE}.${randomUUID()}`);
    try {
      await writeFile(aside, bytes);
      await rename(aside, path);
    } finally {
      await rm(aside, { force: true });
    }
    return path;
  }

  private async digestOf(path: string): Promise<string> {
    const found = await stat(path, { bigint: true }).catch(ignoreMissing);
    if (!found)
      throw new ModelRefused(
        `models/store: ${path} is missing beside its card; export the model again or restore the file`,
      );
    const stamp = `${found.size}:${found.mtimeNs}:${found.ino}`;
    const known = this.digests.get(path);
    if (known?.stamp === stamp) return known.sha256;
    const sha256 = sha256Hex(await readFile(path));
    this.digests.set(path, { stamp, sha256 });
    return sha256;
  }

  private async unknown(id: string): Promise<ModelRefused> {
    const ids = new Set<string>();
    for (const location of this.locations) for (const known of await idsOf(location)) ids.add(known);
    const closest = closestFirst(id, [...ids]);
    const where = this.locationNames.join(', ') || 'no location at all';
    const has =
      closest.length > 0
        ? `there are ${closest.join(', ')}`
        : 'there are no models (folders with card.json and model.onnx)';
    return new ModelRefused(`models/store: no model '${id}' in ${where}; ${has}`);
  }
}

class ModelFolder implements ModelFetcher {
  constructor(readonly name: string) {}

  path(relative: string): string {
    return absolutePath(this.name, relative);
  }

  async list(): Promise<string[]> {
    const entries = await readdir(this.name, { withFileTypes: true }).catch(ignoreMissing);
    const folders = (entries ?? []).filter((entry) => entry.isDirectory() || entry.isSymbolicLink());
    const cards = await Promise.all(
      folders.map(async ({ name }) => {
        const path = `${name}/${CARD_FILE}`;
        return (await stat(this.path(path)).catch(ignoreMissing))?.isFile() ? [path] : [];
      }),
    );
    return cards.flat();
  }

  async fetch(path: string): Promise<Uint8Array> {
    return readFile(this.path(path));
  }
}

async function idsOf(location: ModelFetcher): Promise<string[]> {
  const ids: string[] = [];
  for (const path of await location.list()) {
    const [id, file, ...deeper] = path.split('/');
    if (id && file === CARD_FILE && deeper.length === 0) ids.push(id);
  }
  return ids.sort();
}

async function readCard(location: ModelFetcher, id: string): Promise<{ card: ModelCard; sha256: string }> {
  const where = `${location.name}/${id}/${CARD_FILE}`;
  const bytes = await location.fetch(`${id}/${CARD_FILE}`);
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw new ModelRefused(`models/store: ${where} is not JSON: ${(error as Error).message}`);
  }
  const card = parseCard(json, where);
  if (card.id !== id) {
    throw new ModelRefused(`models/store: ${where} says id '${card.id}', but its folder is '${id}'; make them equal`);
  }
  return { card, sha256: sha256Hex(bytes) };
}

/** SHA-256 in lower-case hexadecimal. */
export function sha256Hex(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function ignoreMissing(error: unknown): undefined {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
  throw error;
}

// Every object key of a dataset, in one place. Ids in paths are the first 16 hex digits of a digest; functions take the
// whole digest or that short form. A leaf is a folder key ending in '/'.

/** Whether a text can be a digest, whole or as paths have it. */
export function isDigest(text: string): boolean {
  return /^[0-9a-f]{16,64}$/.test(text);
}

/** A digest as it appears in paths: its first 16 hex digits. @throws RangeError where it is no digest */
export function shortId(digest: string): string {
  if (!isDigest(digest)) {
    throw new RangeError(`datasets: '${digest}' is no digest; it needs 16 to 64 lower-case hex digits`);
  }
  return digest.slice(0, 16);
}

/** A model id or stage name as a path segment, unchanged. @throws RangeError where it would need escaping */
export function segment(name: string): string {
  if (!/^[A-Za-z0-9_-][A-Za-z0-9._-]*$/.test(name) || name.length > 128) {
    throw new RangeError(
      `datasets: '${name}' cannot be part of a key; use 1 to 128 of A-Z a-z 0-9 '.', '_', '-', not starting with '.'`,
    );
  }
  return name;
}

/** `part-<index, 5 digits>-<first 16 hex of sha256>.parquet` */
export function partName(index: number, sha256: string): string {
  if (!Number.isInteger(index) || index < 0)
    throw new RangeError(`datasets: part index ${index} must be a whole number`);
  return `part-${String(index).padStart(5, '0')}-${shortId(sha256)}.parquet`;
}

/** Shard number in the name of a part, see {@link partName}. @throws RangeError where the key is of no part */
export function shardOf(key: string): number {
  const shard = /part-(\d+)-[0-9a-f]+\.parquet$/.exec(key)?.[1];
  if (shard === undefined) throw new RangeError(`datasets: '${key}' is the key of no part`);
  return Number(shard);
}

/** The folder of a key, ending in '/'. */
export function leafOf(key: string): string {
  return key.slice(0, key.lastIndexOf('/') + 1);
}

/** The mark of a published leaf. */
export const successMark = (leaf: string) => `${leaf}_SUCCESS`;

/** The pointer every reader starts at. */
export const CATALOG = 'catalog.json';
/** The dataset card. */
export const CARD = 'README.md';
/** Machine-readable description of the dataset. */
export const CROISSANT = 'croissant.json';
/** Folder of all manifests. */
export const MANIFESTS = 'manifests/';

/** A manifest or one of its children; the file name is the sha256 of its bytes. */
export const manifest = (digest: string) => `${MANIFESTS}${digest}.json`;
/** Digest in the key of a manifest. */
export const manifestDigest = (key: string) => key.slice(MANIFESTS.length, -'.json'.length);
/** Times, versions, machines and costs of a run. */
export const runRecord = (runId: string) => `runs/${segment(runId)}.json`;
/** Who owns (snapshot, model): one truth in an output root. */
export const claim = (snapshot: string, model: string) => `claims/${shortId(snapshot)}/${segment(model)}.json`;
/** A mark that the published embeddings of (snapshot, model) are being replaced; '~' occurs in no model id. */
export const replacement = (snapshot: string, model: string) =>
  `claims/${shortId(snapshot)}/${segment(model)}~replaced`;
/** An object that is written and removed to see what the store does. */
export const probe = (id: string) => `probes/${segment(id)}`;
/** What a stage made of an input. @param key digest of everything that decides the result */
export const receipt = (stage: string, key: string) => `receipts/${segment(stage)}/${key}.json`;
/**
 * An object that one stage leaves for the next and no reader sees: moments, BIRCH summaries, nominations.
 * @param extension e.g. `json`, `bin`
 */
export const intermediate = (stage: string, key: string, extension: string) =>
  `intermediate/${stage.split('/').map(segment).join('/')}/${key}.${segment(extension)}`;
/** JSON documents that activities pass on by key: what a run asks for, its plan, listings and parts of sources, how they merge, passes of fitting a basis. */
export type DocumentKind = 'requests' | 'plans' | 'listings' | 'lists' | 'units' | 'merges' | 'seals' | 'passes';
/** A document by the digest of its content. */
export const document = (kind: DocumentKind, digest: string) => intermediate(kind, digest, 'json');
/** A page of an OPTIMADE server as it was fetched. */
export const optimadePage = (sha256: string) => intermediate('optimade', sha256, 'json');
/** The crystals that come with koine, as a run read them. */
export const bundledCrystals = (sha256: string) => intermediate('bundled', sha256, 'extxyz');
/** Which reading a unit gave last, by the digest of the unit. */
export const unitReading = (unit: string) => intermediate('readings', unit, 'json');
/** The parts of a large file, by the digest of its listing. */
export const fileScan = (file: string) => intermediate('scans', file, 'json');
/** A sorted run of structures that reading left, in blocks, by its sha256. */
export const chunk = (sha256: string) => intermediate('chunks', sha256, 'bin');
/** Where the blocks of a chunk begin and with which ids, by its sha256. */
export const chunkIndex = (sha256: string) => intermediate('chunks', sha256, 'json');
/** A shard that merging made, before its snapshot has a name, by its sha256. */
export const mergedShard = (sha256: string) => intermediate('shards', sha256, 'parquet');
/** What pairs and diagnostics may look at of one page, by its sha256. */
export const selection = (sha256: string) => intermediate('select', sha256, 'bin');
/** Vectors of a model at what was selected of one page, by their sha256. */
export const gathered = (sha256: string) => intermediate('gather', sha256, 'bin');
/** Encoded partial or merged moments, by their sha256. */
export const moments = (sha256: string) => intermediate('moments', sha256, 'bin');
/** Numbers by material id that a run was given, by their sha256. */
export const labels = (sha256: string) => intermediate('labels', sha256, 'json');
/** What diagnostics look at of one model (`activities/diagnostics/pool.ts`), by its sha256. */
export const pooledModel = (sha256: string) => intermediate('pool', sha256, 'bin');
/** Encoded intermediates of fitting a basis (projection, leaves, centres, nominations), by their sha256. */
export const basisWork = (sha256: string) => intermediate('basis', sha256, 'bin');
/** What similarity works out of one model's vectors for all its pairs, by its sha256. */
export const preparedCloud = (sha256: string) => intermediate('clouds', sha256, 'bin');
/** Atoms that a spec lists, a line each, by the sha256 of the lines. */
export const listedRows = (sha256: string) => intermediate('rows', sha256, 'txt');

/** Totals of a snapshot; written last, so that whoever sees it sees the whole snapshot. */
export const snapshotDocument = (snapshot: string) => `snapshots/${shortId(snapshot)}/snapshot.json`;
/** Entries of the shards of a page. */
export const shardPage = (snapshot: string, page: number) =>
  `snapshots/${shortId(snapshot)}/shards/${String(page).padStart(5, '0')}.json`;
/** Leaf of the shards of a snapshot. */
export const structuresLeaf = (snapshot: string) => `snapshots/${shortId(snapshot)}/structures/`;
/** One shard of a snapshot. */
export const structuresPart = (snapshot: string, index: number, sha256: string) =>
  structuresLeaf(snapshot) + partName(index, sha256);

/** Leaf of one model's embeddings of a snapshot. */
export const embeddingsLeaf = (snapshot: string, model: string) =>
  `embeddings/snapshot=${shortId(snapshot)}/model=${segment(model)}/`;
/** One model's embeddings of one shard. */
export const embeddingsPart = (snapshot: string, model: string, index: number, sha256: string) =>
  embeddingsLeaf(snapshot, model) + partName(index, sha256);

/** Leaf of what belongs to a basis itself. */
export const basisLeaf = (basis: string) => `bases/${shortId(basis)}/`;
/** The anchors of a basis. */
export const anchors = (basis: string) => `${basisLeaf(basis)}anchors.parquet`;
/** Method, parameters and lineage of a basis. */
export const basisRecord = (basis: string) => `${basisLeaf(basis)}basis.json`;
/** Leaf of one model's own embeddings of the anchors. */
export const anchorVectorsLeaf = (basis: string, model: string) =>
  `${basisLeaf(basis)}anchor_vectors/model=${segment(model)}/`;
/** One model's own embeddings of the anchors. */
export const anchorVectors = (basis: string, model: string, sha256: string) =>
  anchorVectorsLeaf(basis, model) + partName(0, sha256);

const underBasis = (table: string, snapshot: string, basis: string) =>
  `${table}/snapshot=${shortId(snapshot)}/basis=${shortId(basis)}/`;

/** Leaf of one model's coordinates. */
export const coordinatesLeaf = (snapshot: string, basis: string, model: string) =>
  `${underBasis('coordinates', snapshot, basis)}model=${segment(model)}/`;
/** One model's coordinates of one shard. */
export const coordinatesPart = (snapshot: string, basis: string, model: string, index: number, sha256: string) =>
  coordinatesLeaf(snapshot, basis, model) + partName(index, sha256);

/** Leaf of one model's pooled coordinates, a row a structure. */
export const structureVectorsLeaf = (snapshot: string, basis: string, model: string) =>
  `${underBasis('structure_vectors', snapshot, basis)}model=${segment(model)}/`;
/** One model's pooled coordinates of one shard. */
export const structureVectorsPart = (snapshot: string, basis: string, model: string, index: number, sha256: string) =>
  structureVectorsLeaf(snapshot, basis, model) + partName(index, sha256);

/** Tables with one file a pair in one folder; both models are columns. */
export type PairTable = 'similarity' | 'transport_summary' | 'element_transport';
/** Tables with one folder a pair; the models are partition folders and no columns. */
export type PairRowsTable = 'similarity_rows' | 'transport' | 'transport_barycentric';

/** What a pair's result depends on: where it lies. `params` is the digest of the parameters. */
export interface PairPlace {
  snapshot: string;
  basis: string;
  params: string;
  modelA: string;
  modelB: string;
}

/** Tables with one file a model, or a pair, in one folder. */
export type DiagnosticTable =
  | 'anchor_quality'
  | 'model_diagnostics'
  | 'symmetry'
  | 'error_prediction'
  | 'element_bias'
  | 'arithmetic'
  | 'analogies'
  | 'stitching'
  | 'drift';

/** Where the diagnostics of a run lie: see {@link PairPlace}. */
export type ParamsPlace = Pick<PairPlace, 'snapshot' | 'basis' | 'params'>;

const paramsLeaf = (table: string, { snapshot, basis, params }: ParamsPlace) =>
  `${underBasis(table, snapshot, basis)}params=${shortId(params)}/`;

/** Start of the keys of one pair in a {@link PairTable}'s folder; '~' occurs in no model id, so it matches no other pair. */
export const pairPrefix = (table: PairTable, pair: PairPlace) =>
  `${paramsLeaf(table, pair)}${segment(pair.modelA)}~${segment(pair.modelB)}~`;
/** The one file of a pair. */
export const pairPart = (table: PairTable, pair: PairPlace, sha256: string) =>
  `${pairPrefix(table, pair)}${shortId(sha256)}.parquet`;
/** Leaf of one pair's rows. */
export const pairRowsLeaf = (table: PairRowsTable, pair: PairPlace) =>
  `${paramsLeaf(table, pair)}model_a=${segment(pair.modelA)}/model_b=${segment(pair.modelB)}/`;
/** One part of a pair's rows. */
export const pairRowsPart = (table: PairRowsTable, pair: PairPlace, index: number, sha256: string) =>
  pairRowsLeaf(table, pair) + partName(index, sha256);

/** The one file of a model, of a pair of models, or of a model among {@link ALL_MODELS}, in the folder of a diagnostic. */
export const diagnosticPart = (
  table: DiagnosticTable,
  place: ParamsPlace,
  [model, other = '']: readonly string[],
  sha256: string,
) => `${paramsLeaf(table, place)}${segment(model)}~${other && segment(other)}~${shortId(sha256)}.parquet`;
/** Model folder of what all models say together. */
export const ALL_MODELS = 'all';
/** Scores of one shard by one model, or by {@link ALL_MODELS}. */
export const atypicalPart = (place: ParamsPlace, model: string, index: number, sha256: string) =>
  `${paramsLeaf('atypical', place)}model=${segment(model)}/${partName(index, sha256)}`;

/**
 * Leaf of the structures a stage refused.
 * @param of the model id; for the snapshot stage the digest of the sources that were read, since other sources with other
 * unreadable files can make the same snapshot
 */
export const quarantineLeaf = (snapshot: string, stage: string, of: string) =>
  `quarantine/snapshot=${shortId(snapshot)}/${segment(stage)}/${/^[0-9a-f]{64}$/.test(of) ? shortId(of) : segment(of)}/`;
/** One part of the structures a stage refused. @param of as in {@link quarantineLeaf} */
export const quarantinePart = (snapshot: string, stage: string, of: string, index: number, sha256: string) =>
  quarantineLeaf(snapshot, stage, of) + partName(index, sha256);

/** Folders of the tables that are computed from embeddings of a snapshot. */
export const derivedFolders = (snapshot: string) =>
  [
    'coordinates',
    'structure_vectors',
    'similarity',
    'similarity_rows',
    'transport',
    'transport_barycentric',
    'transport_summary',
    'element_transport',
    'anchor_quality',
    'model_diagnostics',
    'symmetry',
    'element_bias',
    'atypical',
    'error_prediction',
    'arithmetic',
    'analogies',
    'stitching',
    'drift',
  ].map((table) => `${table}/snapshot=${shortId(snapshot)}/`);

/** Whether an object of {@link derivedFolders} was computed from this model's embeddings, alone, in a pair or among all. */
export function isDerivedFrom(key: string, model: string): boolean {
  const segments = key.split('/');
  const [first, second, rest] = (segments.pop() ?? '').split('~');
  if (rest !== undefined) return [first, second].some((name) => name === model || name === ALL_MODELS);
  return segments.some((name) =>
    [`model=${ALL_MODELS}`, `model=${model}`, `model_a=${model}`, `model_b=${model}`].includes(name),
  );
}

/** The start of the keys that a leaf's owner may clear: the pair's in a folder of pairs, else the whole leaf. */
export function ownedPrefix(key: string): string {
  const pair = key.lastIndexOf('~');
  return pair < 0 ? leafOf(key) : key.slice(0, pair + 1);
}

import type { RunSpec } from '../../config/runSpec.js';
import type { DiagnosticStage, FanOutStage } from '../../config/names.js';
import { emptyTally, type StoreRequests, type Tally } from '../../config/tally.js';
import type { ModelIdentity } from '../../datasets/claim.js';
import type { SimilarityHeadline } from '../../datasets/headline.js';
import type { PartEntry } from '../../datasets/manifest.js';
import type { FilePart } from '../../structures/parts/filePart.js';
import type { QuarantineRow } from '../../datasets/tables/quarantine.js';

// What activities pass to each other through the object store: small JSON documents, addressed by digest. Workflows carry
// their keys only. Key order does not matter: they are written as canonical JSON.

/** Every stage of a run, in the order in which it passes them. */
export type StageName = FanOutStage | 'snapshot' | 'plan' | 'basis' | 'publish';

export type { FanOutStage, Tally };

/** A run before it is planned: its store, and the key of its {@link RequestDocument}. */
export interface RequestRef {
  /** URL of the object store. */
  output: string;
  request: string;
}

/** A run that is planned: its store, and the key of its {@link PlanDocument}. */
export interface PlanRef {
  /** URL of the object store. */
  output: string;
  plan: string;
}

/** What the items of one fan-out share, by stage: ids and object keys only. */
interface StageInputs {
  scan: { run: RequestRef; listing: string };
  read: { run: RequestRef; listing: string };
  merge: { run: RequestRef; merge: string };
  place: { run: RequestRef; seal: string };
  embed: OfModel;
  embedded: OfModel;
  statistics: OfModel;
  rankAtoms: OfModel;
  summarise: OfModel & { pass: string };
  nominate: OfModel & { pass: string };
  project: OfModel & InBasis;
  projected: OfModel & InBasis;
  select: { run: PlanRef };
  gather: OfModel & InBasis;
  similarity: InBasis;
  transport: InBasis;
  scored: InBasis;
}
interface OfModel {
  run: PlanRef;
  model: string;
}
interface InBasis {
  run: PlanRef;
  basis: string;
}

/** What starts a fan-out of stage `S`. */
export type StageInput<S extends FanOutStage = FanOutStage> = {
  [Stage in S]: { stage: Stage } & (Stage extends DiagnosticStage
    ? InBasis
    : StageInputs[Exclude<Stage, DiagnosticStage>]);
}[S];

/** One item of a fan-out of stage `S`: a shard, a page, a source unit, a model or a pair, by its number. */
export type ItemTask<S extends FanOutStage = FanOutStage> = StageInput<S> & { item: number };

/** The model whose fan-out this is, if it is one model's. */
export function modelOf(input: StageInput): string | null {
  return 'model' in input ? input.model : null;
}

/** The spec with all defaults and absolute paths, as the client checked it. */
export interface RequestDocument {
  spec: RunSpec;
  /** Publish models that are there with another identity anew, and remove the old parts. */
  replace: boolean;
}

/** Consecutive items of a fan-out, [start, end). */
export interface RangeTask {
  input: StageInput;
  start: number;
  end: number;
}

/** A file of the sources as it was listed. */
export interface ListedFile {
  /** As it appears in `source` of its structures. */
  name: string;
  /** What its structures are called that state no id. */
  stem: string;
  /** A local path, an object URL, or (pages of a server) an object of the run's own store. */
  location: string;
  bytes: number;
  /** Changes whenever the bytes do, where the place promises that (ETag of S3, digest of a kept page); null for local files. */
  version: string | null;
}

/** What one activity reads: files, or some records of one large file. */
export interface SourceUnit {
  /** Index into `spec.source`: of structures with one id those of an earlier source win. */
  source: number;
  files: ListedFile[];
  /** The records of the one file that are meant; null for all. */
  part: FilePart | null;
}

/** The files of a request, in order of its sources. */
export interface SourceListing {
  /** Large files, which are scanned for their parts; those that may not be cut come as one. */
  large: { source: number; file: ListedFile }[];
  /** Keys of lists of units. */
  lists: string[];
  units: number;
}

/** Keys of {@link SourceUnit} documents; a number stands for the parts of that large file, in their place. */
export type UnitList = (string | number)[];

/** A sorted run of structures that reading left, see `snapshot/chunk.ts`. */
export interface ChunkRef {
  key: string;
  /** Key of its index. */
  index: string;
}

/** How chunks become pages: borders are ids at which every snapshot of these structures ends a page. */
export interface MergePlan {
  chunks: (ChunkRef & { source: number })[];
  /** Page p holds the ids in (borders[p - 1], borders[p]]; the last page the rest. */
  borders: string[];
  /** Structures that reading refused, and identical repetitions that it dropped. */
  rejected: number;
  duplicates: number;
  /** Sum of the digests of the rows that reading refused: see `snapshot/rejections.ts`. */
  rejections: string;
  /** Keys of the receipts of readings that refused some. */
  refusing: string[];
}

/** Consecutive shards of a snapshot. */
export interface PageEntry {
  /** Number of its first shard. */
  start: number;
  shards: number;
  structures: number;
  atoms: number;
  /** First and last material id, in code-point order. */
  first: string;
  last: string;
  /** Digest of the content of its shards. */
  digest: string;
}

/** Totals and pages of a snapshot of some sources. */
export interface SnapshotDocument {
  snapshot: string;
  shards: number;
  structures: number;
  atoms: number;
  /** Structures that were read but not accepted. */
  quarantined: number;
  /** Identical repetitions of a structure under one id, dropped. */
  duplicates: number;
  pages: PageEntry[];
}

/** A snapshot that is merged but not yet in its place. */
export interface SealDocument extends SnapshotDocument {
  /** Key of the {@link MergePlan}. */
  merge: string;
  /** Number of each page in the merge plan, where some are empty. */
  merged: number[];
  /** As in {@link MergePlan}. */
  refusing: string[];
}

/** What the workflow needs of a merged snapshot. */
export interface SealedSnapshot {
  /** Key of the {@link SealDocument}. */
  seal: string;
  snapshot: string;
  pages: number;
  structures: number;
  quarantined: number;
  /** `limits.quarantine_fraction` of the spec. */
  limit: number;
}

/** One shard of a snapshot. */
export interface ShardEntry extends PartEntry {
  /** Digest of the exact content of its structures: half of every cache key. */
  content: string;
  atoms: number;
  /** First and last material id, in code-point order. */
  first: string;
  last: string;
}

/** A model of a run. */
export interface PlannedModel {
  id: string;
  card_sha256: string;
  dim: number;
  licence: string;
  /** Models that share it count once in averages over models. */
  lineage: string;
  /** What it is a control for, if it is one. */
  control: string | null;
  identity: ModelIdentity;
}

/** A checked run over a snapshot. */
export interface PlanDocument {
  spec: RunSpec;
  snapshot: SnapshotDocument;
  /** Key of the {@link SealDocument}: it knows what the sources held that is not in the snapshot. */
  seal: string;
  models: PlannedModel[];
  /** sha256 of the rows that `similarity.rows` lists; null where rows are drawn. */
  listed_rows: string | null;
  /** Labels of the structures by name, as documents that map material ids to numbers. */
  labels: { name: string; document: string }[];
}

/** Where the fitting of a basis stands: passed from pass to pass by key. */
export interface BasisPass {
  /** Key of the encoded projection. */
  projection: string;
  /** BIRCH threshold of the next summaries. */
  threshold: number;
  /** Key of the encoded cluster centres, once the leaves are clustered. */
  centres: string | null;
  /** Anchors of the nominations so far, null where a centre waits for a replacement; empty before the first. */
  anchors: ({ materialId: string; atomIndex: number } | null)[];
}

/** What the workflow needs of a plan: counts and ids. */
export interface PlanSummary {
  /** Key of the {@link PlanDocument}. */
  document: string;
  models: string[];
  shards: number;
  pages: number;
  pairs: number;
  anchors: number;
  referenceModel: string;
  /** Digest of the basis to reuse, if one is pinned and still fits. */
  pinnedBasis: string | null;
  /** How anchors are chosen: by clustering the reference model's embeddings, among its atoms of lowest rank, or by name. */
  anchorChoice: 'clusters' | 'ranks' | 'names';
  /** Diagnostics that are switched on, in order, with the number of their items. */
  diagnostics: { stage: DiagnosticStage | 'scored'; items: number }[];
  limit: number;
}

/** The JSON summary of a run, as `koine run --json` prints it. */
export interface RunSummary {
  run_id: string;
  workflow_id: string;
  status: 'done';
  snapshot: string;
  /** Accepted into the snapshot, and refused by it. */
  structures: number;
  quarantined: number;
  basis: string;
  models: {
    id: string;
    structures: number;
    atoms: number;
    quarantined: number;
    shards: { total: number; computed: number; reused: number };
    inference_seconds: number;
    wall_seconds: number;
  }[];
  pairs: { computed: number; reused: number };
  /** Items of the diagnostics: models, pairs, shards. */
  diagnostics: { computed: number; reused: number };
  /** The headline of similarity. */
  similarity: SimilarityHeadline;
  /** What should be known before the results are used. */
  warnings: string[];
  /** Share of inference-thread time spent inside `session.run`; null when nothing was inferred. */
  inference_share: number | null;
  manifest: string;
  output: string;
  /** Wall seconds of each stage, in order. */
  stages: { stage: StageName; seconds: number }[];
  /** Requests to stores by kind. */
  requests: StoreRequests;
  wall_seconds: number;
}

/** What is left of a run that did not end well. */
export interface RunFailure {
  run_id: string;
  workflow_id: string;
  status: 'failed' | 'cancelled' | 'quarantine_limit';
  stage: StageName;
  message: string;
  snapshot: string | null;
  /** Counts by reason code and the first rows, when the quarantine limit ended the run. */
  quarantine: { codes: Record<string, number>; rows: QuarantineRow[] } | null;
}

/** The tally of one item: what the workflow adds up. */
export function tallyOf(part: Partial<Tally>): Tally {
  return { ...emptyTally(), done: 1, ...part };
}

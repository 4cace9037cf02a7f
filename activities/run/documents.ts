import type { RunSpec } from '../../config/runSpec.js';
import type { DiagnosticStage, FanOutStage } from '../../config/names.js';
import { emptyTally, type Tally } from '../../config/tally.js';
import type { ModelIdentity } from '../../datasets/claim.js';
import type { SimilarityHeadline } from '../../datasets/headline.js';
import type { PartEntry } from '../../datasets/manifest.js';
import type { QuarantineRow } from '../../datasets/tables/quarantine.js';

// What activities pass to each other through the object store: small JSON documents, addressed by digest. Workflows carry
// their keys only. Key order does not matter: they are written as canonical JSON.

/** Every stage of a run, in the order in which it passes them. */
export type StageName = FanOutStage | 'snapshot' | 'plan' | 'basis' | 'publish';

export type { FanOutStage, Tally };

/** Points at the store of a run and at the document that says what to do there. */
export interface RunRef {
  /** URL of the object store. */
  output: string;
  /** Key of a {@link RequestDocument} (before planning) or a {@link PlanDocument}. */
  document: string;
}

/** One item of a fan-out: a shard, a source unit, a group of partial statistics or a pair. */
export interface ItemTask {
  run: RunRef;
  model: string | null;
  item: number;
  /** What the items of one fan-out share: an object key, a level, a basis. */
  argument: string;
}

/** The spec with all defaults and absolute paths, as the client checked it. */
export interface RequestDocument {
  spec: RunSpec;
  /** Publish models that are there with another identity anew, and remove the old parts. */
  replace: boolean;
}

/** Consecutive items of a fan-out, [start, end). */
export interface RangeTask extends Omit<ItemTask, 'item'> {
  stage: FanOutStage;
  start: number;
  end: number;
}

/** A group of source files that one activity reads. */
export interface SourceUnit {
  /** Index into `spec.source`. */
  source: number;
  /** Files in order: a local path, an object URL, or (OPTIMADE pages) an object of the run's own store. */
  files: { name: string; location: string }[];
}

/** Totals of a snapshot of some sources. */
export interface SnapshotDocument {
  snapshot: string;
  shards: number;
  structures: number;
  atoms: number;
  /** Structures that were read but not accepted. */
  quarantined: number;
  /** Identical repetitions of a structure under one id, dropped. */
  duplicates: number;
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

/** Everything one model has in a snapshot and basis, once all its shards are done. */
export interface ModelParts {
  model: string;
  embeddings: PartEntry[];
  coordinates: PartEntry[];
  structure_vectors: PartEntry[];
  anchor_vectors: PartEntry;
  structures: number;
  atoms: number;
  quarantine: QuarantineRow[];
  /** Digest of the embedding and coordinate parts in shard order: what pairs depend on. */
  digest: string;
}

/** What the workflow needs of a plan: counts and ids. */
export interface PlanSummary {
  /** Key of the {@link PlanDocument}. */
  document: string;
  models: string[];
  shards: number;
  pairs: number;
  anchors: number;
  referenceModel: string;
  /** Digest of the basis to reuse, if one is pinned and still fits. */
  pinnedBasis: string | null;
  /** The basis is fitted from statistics and clustering passes. */
  basisPasses: boolean;
  /** Diagnostics that are switched on, in order, with the number of their items. */
  diagnostics: { stage: DiagnosticStage; items: number }[];
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

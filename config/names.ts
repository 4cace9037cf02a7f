// Names that cross process boundaries, or that a spec and the numerics share. No zod here: workflow code imports this file.

/** Task queues; embedded runs append a suffix so that two output roots never share workers. */
export const TASK_QUEUES = {
  /** Workflows and nothing else. */
  control: 'koine-control',
  /** Embedding: one slot a GPU, or a few a process on CPU. */
  inference: 'koine-inference',
  /** Everything else that computes or moves data. */
  compute: 'koine-compute',
} as const;
/** The role of a worker. */
export type QueueRole = keyof typeof TASK_QUEUES;
/** Roles in the order in which `koine worker` hosts them. */
export const QUEUE_ROLES = Object.keys(TASK_QUEUES) as QueueRole[];

/** Name of a task queue for a role; `suffix` separates independent deployments on one Temporal namespace. */
export function taskQueue(role: QueueRole, suffix = ''): string {
  return suffix ? `${TASK_QUEUES[role]}-${suffix}` : TASK_QUEUES[role];
}

/**
 * Diagnostics of a run, in order: each fans out over models, pairs, shards, or models times shards. `pool` puts together, once a
 * model, what the others look at.
 */
export const DIAGNOSTIC_STAGES = [
  'pool',
  'spaces',
  'symmetry',
  'novelty',
  'atypical',
  'judgement',
  'bias',
  'analogies',
  'arithmetic',
  'stitching',
  'drift',
] as const;
/** One of {@link DIAGNOSTIC_STAGES}. */
export type DiagnosticStage = (typeof DIAGNOSTIC_STAGES)[number];

/** What the items of each fan-out are, one of them. */
export const STAGE_ITEMS = {
  scan: 'large file',
  read: 'source unit',
  merge: 'page',
  place: 'page',
  embed: 'shard',
  embedded: 'page',
  statistics: 'page',
  rankAtoms: 'page',
  summarise: 'shard',
  nominate: 'shard',
  project: 'shard',
  projected: 'page',
  select: 'page',
  gather: 'page',
  similarity: 'pair',
  transport: 'pair',
  pool: 'model',
  spaces: 'model',
  symmetry: 'model',
  novelty: 'model shard',
  atypical: 'shard',
  judgement: 'judged model',
  bias: 'pair',
  analogies: 'model',
  arithmetic: 'pair',
  stitching: 'pair',
  drift: 'pair',
  scored: 'page',
} as const satisfies Record<DiagnosticStage, string> & Record<string, string>;
/** A stage that runs one activity for each of its items. */
export type FanOutStage = keyof typeof STAGE_ITEMS;

/** Stages that run networks: their items go to the queue `inference`. */
export const INFERENCE_STAGES = ['embed', 'symmetry'] as const;

/** Query names. */
export const QUERIES = { progress: 'progress' } as const;
/** Signal names. */
export const SIGNALS = { pause: 'pause', resume: 'resume' } as const;
/** Update names. */
export const UPDATES = { setWindow: 'setWindow' } as const;

/** Search attributes (Keyword: 4 of the 10, Int: 2 of the 3 that SQL visibility allows). */
export const SEARCH_ATTRIBUTES = {
  ModelId: 'Keyword',
  SnapshotId: 'Keyword',
  Stage: 'Keyword',
  RunName: 'Keyword',
  Quarantined: 'Int',
} as const;

/** Types of failures that no retry can mend. */
export const FAILURES = {
  /** The spec, a model, a store or a card is wrong: the message says what and the remedy. */
  invalidInput: 'InvalidInput',
  /** A model id is already published for this snapshot with another identity. */
  modelConflict: 'ModelConflict',
  /** More structures quarantined than the spec allows. */
  quarantineLimit: 'QuarantineLimit',
} as const;

/** Exit codes of the command line. */
export const EXIT = { done: 0, failed: 1, usage: 2, quarantineLimit: 3, cancelled: 130 } as const;

/** Items per range workflow: about 6 events each, so a range of new work continues as new a few times. */
export const SHARDS_PER_RANGE = 500;
/** Events after which a range continues as new: a worker that picks it up replays at most these and one window. */
export const HISTORY_EVENT_BUDGET = 1_000;
/**
 * Shards of a page on average: pages end where an id's hash says so, see `activities/snapshot/sharding.ts`. Whatever is per shard is listed
 * a page at a time, so that no document and no loop grows with the database; 64 shards of the default size are some 16,000 structures, which one
 * process merges in memory.
 */
export const SHARDS_PER_PAGE = 64;
/** Vectors of a model that others are compared with. */
export const SPACES = ['coordinates', 'embeddings'] as const;
/** One of {@link SPACES}. */
export type Space = (typeof SPACES)[number];

/** Metrics of similarity; see `latent/similarity/metrics.ts`. */
export const SIMILARITY_METRICS = [
  'mutual_knn_euclidean',
  'mutual_knn_cosine',
  'mutual_knn_inner',
  'cknna',
  'linear_cka',
  'unbiased_linear_cka',
  'angular_procrustes',
  'distance_correlation',
  'unbiased_distance_correlation',
  'information_imbalance',
  'gfre',
  'lfre',
] as const;
/** One of {@link SIMILARITY_METRICS}. */
export type SimilarityMetric = (typeof SIMILARITY_METRICS)[number];

/** Rows of one side are permuted freely, or only among rows of the same element (the strict null: composition alone cannot beat it). */
export const NULL_KINDS = ['free', 'within_element'] as const;
/** One of {@link NULL_KINDS}. */
export type NullKind = (typeof NULL_KINDS)[number];

/** How the two samples of a transport relate: row i of both is the same atom, or no atom is in both. */
export const TRANSPORT_DESIGNS = ['same', 'disjoint'] as const;
/** One of {@link TRANSPORT_DESIGNS}. */
export type TransportDesign = (typeof TRANSPORT_DESIGNS)[number];

/** Ways to find a plan between two clouds; see the modules of their names in `latent/transport/`. */
export const TRANSPORT_SOLVERS = ['exact', 'sinkhorn', 'unbalanced', 'multiscale'] as const;
/** One of {@link TRANSPORT_SOLVERS}. */
export type TransportSolver = (typeof TRANSPORT_SOLVERS)[number];

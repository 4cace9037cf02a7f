import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { NULL_KINDS, SIMILARITY_METRICS, SPACES, TRANSPORT_DESIGNS, TRANSPORT_SOLVERS } from './names.js';
import { describeIssue } from './specIssues.js';

/** Identifiers that become folder names. */
const idText = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'must be letters, digits, ".", "_" or "-", starting with a letter or digit');
const count = (meaning: string) => z.int().min(1).describe(meaning);
const seed = z.int().min(0).max(0xffff_ffff).describe('Seed of the draws; the same seed gives the same rows.');

/** Source path of the crystals that come with koine, `structures/bundled/`. */
export const BUNDLED_CRYSTALS = 'bundled:crystals';

const sourceSchema = z
  .strictObject({
    path: z
      .string()
      .min(1)
      .describe(
        'A file, folder, glob, .zip or .gz; an s3:// prefix; an http(s):// OPTIMADE base URL; or bundled:crystals, the crystals that come with koine.',
      ),
  })
  .describe('One place to read structures from.');

const basisSchema = z.strictObject({
  method: z
    .enum(['direct', 'explicit', 'farthest-point', 'random', 'kmeans++', 'element-stratified'])
    .default('direct')
    .describe('How anchors are chosen; `direct` is DIRECT, fitted shard by shard.'),
  anchors: z
    .union([count('K'), z.array(z.string().regex(/^.+:\d+$/, 'must look like "<material_id>:<atom_index>"')).min(1)])
    .default(100)
    .describe('Number of anchors K, or for `explicit` the list of "<material_id>:<atom_index>".'),
  reference_model: idText.optional().describe('Model whose embeddings choose the anchors; the first model by default.'),
  center: z
    .enum(['cluster-centroid', 'maml-compat'])
    .default('cluster-centroid')
    .describe('Centre of a DIRECT cluster: its centroid, or the last leaf as maml does.'),
  sources: z
    .array(z.string().min(1))
    .default([])
    .describe(
      'Only structures whose `source` begins with one of these choose the anchors and hold them; all by default. Frames far from equilibrium, ' +
        'for one, are so unlike each other that they would take most anchors.',
    ),
  seed: seed.default(42),
  refit: z
    .boolean()
    .default(false)
    .describe('Fit anew instead of reusing the basis pinned by earlier runs of this name.'),
  from: idText
    .optional()
    .describe(
      'Basis of this output to take instead of fitting one: its digest, or the name of the run that pinned it.',
    ),
  extend: idText
    .optional()
    .describe(
      'Basis of this output, named as for `from`, whose anchors come first; the others, up to `anchors`, fill the gaps between them.',
    ),
});

const coordinatesSchema = z.strictObject({
  centre: z
    .enum(['none', 'anchors'])
    .default('none')
    .describe('Subtract the mean of the anchors before taking cosines (some models are almost constant without).'),
});

/** A list without repetitions, in the order in which its choices are declared: how they are written does not change a key. */
const listOf = <const T extends readonly string[]>(choices: T, meaning: string) =>
  z
    .array(z.enum(choices))
    .refine((names) => new Set(names).size === names.length, 'must not name one twice')
    .transform((names) => choices.filter((choice) => names.includes(choice)) as T[number][])
    .describe(meaning);

const similaritySchema = z.strictObject({
  sample: count('Upper bound of the rows of a draw.').min(20).default(4000),
  draws: count('Independent draws; values are means over draws.').default(5),
  neighbours: count('k of the mutual nearest neighbours.').default(10),
  seed: seed.default(42),
  rows: z
    .string()
    .min(1)
    .optional()
    .describe(
      'File (local or s3://) with a line "<material_id>:<atom_index>" for each row to compare on, instead of draws; its content is part of the cache key.',
    ),
  small_sample: count(
    'Rows of a draw, those taken first, for metrics that look at all pairs of rows: distance correlations, information_imbalance, gfre, lfre.',
  )
    .min(20)
    .max(5000)
    .default(1000),
  metrics: listOf(SIMILARITY_METRICS, 'What to compare by; lfre takes minutes a pair.').default(
    SIMILARITY_METRICS.filter((metric) => metric !== 'lfre'),
  ),
  spaces: listOf(SPACES, 'Vectors to compare.').default([...SPACES]),
  nulls: z
    .strictObject({
      kinds: listOf(
        NULL_KINDS,
        'Row permutations to compare with: among all rows, among rows of an element (the strict one).',
      ).default([...NULL_KINDS]),
      metrics: listOf(
        SIMILARITY_METRICS,
        'Metrics to calibrate. A permutation of a neighbour metric costs a fraction of a millisecond, of the others a matrix product or more.',
      ).default(['mutual_knn_euclidean', 'mutual_knn_cosine', 'mutual_knn_inner']),
      permutations: count('Permutations of a null; the smallest p-value is 1 / (permutations + 1).').default(200),
      alpha: z
        .number()
        .gt(0)
        .lt(1)
        .default(0.05)
        .describe('Share of the null above the threshold from which the calibrated score counts.'),
    })
    .prefault({}),
  strata: z
    .strictObject({
      metrics: listOf(SIMILARITY_METRICS, 'What to compare the atoms of one element by; [] for no strata.').default([
        'mutual_knn_euclidean',
      ]),
      spaces: listOf(SPACES, 'Vectors to compare within elements.').default(['coordinates']),
      rows: count('Atoms of an element in a draw from which it is a stratum.').min(20).default(100),
    })
    .prefault({}),
  replicates: z.int().min(0).default(1000).describe('Bootstrap replicates behind the 95 % intervals; 0 for none.'),
});

const transportSchema = z.strictObject({
  sample: count('Upper bound of the rows of a draw, on either side.').min(2).default(2000),
  draws: count('Independent draws of each design.').default(3),
  seed: seed.default(42),
  designs: listOf(
    TRANSPORT_DESIGNS,
    'Which atoms face each other: the same atoms in both models (identity recovery), or disjoint atoms of other structures with the same elements.',
  )
    .refine((designs) => designs.length > 0, 'must name one at least')
    .default([...TRANSPORT_DESIGNS]),
  solver: z
    .enum(TRANSPORT_SOLVERS)
    .default('exact')
    .describe(
      '`exact` with a certificate; `sinkhorn`, entropic; `unbalanced`, entropic where mass may be left at a price; `multiscale`, within about 1e-3 of exact, ' +
        'for samples of more than some 10,000.',
    ),
  epsilon: z
    .number()
    .positive()
    .default(0.05)
    .describe('Entropic regularisation, as a share of the median cost (`gromov`: of the squared mean distance).'),
  marginal: z
    .number()
    .positive()
    .default(1)
    .describe('`unbalanced`: price of mass that is created or destroyed (KL), as a share of the median cost.'),
  debias: z.boolean().default(false).describe('`sinkhorn`: the Sinkhorn divergence as well, at three times the work.'),
  baselines: listOf(
    ['orthogonal', 'gromov'],
    'What coordinates are held against, on the first draw of `same`: exact transport after an orthogonal map of raw embeddings fitted on the anchors; ' +
      'entropic Gromov-Wasserstein between raw embeddings (500 rows at most).',
  ).default(['orthogonal']),
});

const switchedOn = (what: string) => z.boolean().default(true).describe(`Whether to compute ${what}.`);

const labelSchema = z
  .strictObject({
    name: idText.describe('Name of the target in table `stitching`.'),
    path: z
      .string()
      .min(1)
      .describe(
        'A file, folder or glob of CSV with a header or extended XYZ; .gz too. Ids are found as in the sources.',
      ),
    column: z.string().min(1).describe('Column of the CSV, or key of the comment lines, that holds the number.'),
    per: z
      .enum(['atom', 'structure'])
      .default('atom')
      .describe('`structure`: divide by the number of atoms (total energies).'),
  })
  .describe('Numbers known of the structures, e.g. formation or DFT energies.');

const judgeSchema = z
  .strictObject({
    label: idText.describe('Name of one of stitching.labels: energies, eV (per atom after its `per`).'),
    models: z
      .array(idText)
      .min(1)
      .refine((ids) => new Set(ids).size === ids.length, 'must not name a model twice')
      .describe(
        'Models of the run whose energies are comparable with the label, and so with each other. koine cannot know: CHGNet, for one, is trained ' +
          'on corrected energies, models of MatPES on energies without U, r2SCAN models on another functional. Cards have `energy_convention`.',
      ),
  })
  .describe('Energies that are held against a label.');

const diagnosticsSchema = z.strictObject({
  seed: seed.default(42),
  structures: count('Structures that whole-structure figures look at, at most.').min(2).default(5000),
  sample: count('Atoms that per-atom figures look at, at most; one per symmetry orbit, see similarity.')
    .min(20)
    .max(20_000)
    .default(4000),
  bootstrap: count('Bootstrap replicates behind every interval.').min(40).default(400),
  spaces: z
    .strictObject({ enabled: switchedOn('tables model_diagnostics and anchor_quality') })
    .prefault({})
    .describe('How the vectors of a model are spread, and how well the anchors cover them.'),
  symmetry: z
    .strictObject({
      enabled: switchedOn('table symmetry'),
      structures: count('Structures that are rotated and inverted.').default(64),
      rotations: count('Random rotations of each.').default(2),
    })
    .prefault({})
    .describe('Whether equivalent atoms get equal vectors, and what rotation and inversion change.'),
  element_bias: z
    .strictObject({
      enabled: switchedOn('table element_bias'),
      rows: count('Atoms that an element needs to be in the table.').min(2).default(5),
    })
    .prefault({})
    .describe('Where two models put an element, against its spread.'),
  atypical: z
    .strictObject({
      enabled: switchedOn('table atypical'),
      reference: count('Atoms that novelty is measured against.').min(20).max(20_000).default(2000),
      reference_sources: z
        .array(z.string().min(1))
        .default([])
        .describe('Only structures whose `source` begins with one of these are a reference; all by default.'),
      neighbours: count('Nearest reference atoms whose mean distance is the novelty.').default(5),
      judge: z
        .array(judgeSchema)
        .default([])
        .describe(
          'What the scores are judged by: how well they foretell errors against labels; table error_prediction.',
        ),
    })
    .prefault({})
    .describe('Which structures and atoms the models disagree on or have not seen the like of.'),
  arithmetic: z
    .strictObject({
      enabled: switchedOn('tables arithmetic and analogies'),
      pairs_per_prototype: count('Substitution pairs taken from one prototype at most.').default(20),
      pairs: count('Substitution pairs at most.').default(1000),
    })
    .prefault({})
    .describe('Whether replacing an element is an addition.'),
  stitching: z
    .strictObject({
      enabled: switchedOn('table stitching'),
      labels: z.array(labelSchema).default([]).describe("Targets beside each model's own energy per atom."),
    })
    .prefault({})
    .describe("Whether a head trained on one model's vectors works on another's."),
  drift: z
    .strictObject({
      enabled: switchedOn('table drift'),
      pairs: z
        .array(z.tuple([idText, idText]))
        .default([])
        .describe('Pairs to compare as versions of one model, beside those that share a lineage.'),
    })
    .prefault({})
    .describe('What changed from one version of a model to the next.'),
});

const shardsSchema = z.strictObject({
  structures: count('Mean structures a shard; boundaries come from hashes of material ids.').default(256),
});

const inferenceSchema = z.strictObject({
  provider: z.enum(['cpu', 'cuda', 'webgpu']).default('cpu').describe('ONNX Runtime execution provider.'),
  batch: z
    .strictObject({ atoms: count('Atoms a batch at most.'), edges: count('Edges a batch at most.') })
    .optional()
    .describe('Batch budget; part of the cache key. The default depends on the provider.'),
  window: count('Shards in flight for one model.').max(500).default(16),
});

const limitsSchema = z.strictObject({
  quarantine_fraction: z
    .number()
    .min(0)
    .max(1)
    .default(0.05)
    .describe('A run fails (exit 3) when more than this share of the structures read is quarantined, per model.'),
  max_atoms: count('Structures with more atoms are quarantined as `too_large`.').default(1000),
});

/** The run spec: what a user writes. Every field has a doc line and, where possible, a default. */
export const runSpecSchema = z
  .strictObject({
    name: idText.describe('Name of the run; later runs of the same name reuse its basis.'),
    source: z.array(sourceSchema).min(1).describe('Where the structures come from.'),
    models: z
      .array(idText)
      .min(1)
      .refine((ids) => new Set(ids).size === ids.length, 'must not name a model twice')
      .describe('Model ids; the order fixes which model of a pair is model_a.'),
    lineages: z
      .record(idText, z.array(idText))
      .default({})
      .describe(
        'Models that go back to one training, by the name of their lineage, where their cards do not say it: one voice in averages, ' +
          'versions of each other in `drift`.',
      ),
    model_store: z
      .array(z.string().min(1))
      .min(1)
      .optional()
      .describe(
        'Folders or s3:// prefixes that hold <id>/model.onnx and <id>/card.json, searched in order; by default your own ' +
          '(KOINE_MODELS), then the reference potentials that come with koine.',
      ),
    output: z.string().min(1).describe('Folder or s3://bucket/prefix that receives everything.'),
    basis: basisSchema.prefault({}),
    coordinates: coordinatesSchema.prefault({}),
    similarity: similaritySchema.prefault({}),
    transport: transportSchema.prefault({}),
    diagnostics: diagnosticsSchema.prefault({}),
    shards: shardsSchema.prefault({}),
    inference: inferenceSchema.prefault({}),
    limits: limitsSchema.prefault({}),
  })
  .superRefine((spec, context) => {
    const { basis, models } = spec;
    if (basis.reference_model && !models.includes(basis.reference_model))
      context.addIssue({
        code: 'custom',
        path: ['basis', 'reference_model'],
        message: `must be one of the run's models (${models.join(', ')})`,
      });
    if ((basis.method === 'explicit') !== Array.isArray(basis.anchors))
      context.addIssue({
        code: 'custom',
        path: ['basis', 'anchors'],
        message:
          basis.method === 'explicit'
            ? 'must be a list of "<material_id>:<atom_index>" for method explicit'
            : `must be a number for method ${basis.method}`,
      });
    if (basis.sources.length > 0 && (basis.from || Array.isArray(basis.anchors)))
      context.addIssue({
        code: 'custom',
        path: ['basis', 'sources'],
        message: `chooses among structures, ${basis.from ? 'basis.from' : 'a list of anchors'} leaves nothing to choose; remove one`,
      });
    if (basis.extend && (basis.from || Array.isArray(basis.anchors)))
      context.addIssue({
        code: 'custom',
        path: ['basis', 'extend'],
        message: `cannot go with ${basis.from ? 'basis.from' : 'a list of anchors'}; give basis.extend and the number basis.anchors`,
      });
    if (Array.isArray(basis.anchors) && new Set(basis.anchors).size !== basis.anchors.length)
      context.addIssue({ code: 'custom', path: ['basis', 'anchors'], message: 'must not name an anchor twice' });
    for (const [at, pair] of spec.diagnostics.drift.pairs.entries())
      for (const id of pair)
        if (!models.includes(id))
          context.addIssue({
            code: 'custom',
            path: ['diagnostics', 'drift', 'pairs', at],
            message: `'${id}' must be one of the run's models (${models.join(', ')})`,
          });
    const { atypical, stitching } = spec.diagnostics;
    const labels = stitching.labels.map(({ name }) => name);
    for (const [at, { label, models: judged }] of atypical.judge.entries()) {
      const complain = (field: (string | number)[], message: string) =>
        context.addIssue({ code: 'custom', path: ['diagnostics', 'atypical', 'judge', at, ...field], message });
      if (!atypical.enabled)
        complain([], 'judges scores that diagnostics.atypical.enabled: false leaves out; remove one');
      if (!labels.includes(label))
        complain(
          ['label'],
          `must be the name of one of diagnostics.stitching.labels (${labels.join(', ') || 'none yet'})`,
        );
      if (atypical.judge.slice(0, at).some((other) => other.label === label))
        complain(['label'], 'is judged by already; list all its models in one entry');
      for (const [m, id] of judged.entries())
        if (!models.includes(id)) complain(['models', m], `must be one of the run's models (${models.join(', ')})`);
    }
    const placed = Object.entries(spec.lineages).flatMap(([lineage, ids]) => ids.map((id) => ({ lineage, id })));
    for (const [at, { lineage, id }] of placed.entries()) {
      const before = placed.slice(0, at).find((other) => other.id === id);
      if (!models.includes(id) || before)
        context.addIssue({
          code: 'custom',
          path: ['lineages', lineage],
          message: before
            ? `'${id}' is in lineage '${before.lineage}' already; a model has one`
            : `'${id}' must be one of the run's models (${models.join(', ')})`,
        });
    }
    if (spec.similarity.neighbours >= spec.similarity.sample)
      context.addIssue({
        code: 'custom',
        path: ['similarity', 'neighbours'],
        message: `must be smaller than similarity.sample (${spec.similarity.sample})`,
      });
  });

/** A valid run spec with every default filled in. */
export type RunSpec = z.output<typeof runSpecSchema>;

/** A spec that cannot run; the message has one line a problem: field, value, what would be right. */
export class InvalidSpec extends Error {
  override readonly name = 'InvalidSpec';
}

/** JSON Schema of the run spec, for editors. */
export function runSpecJsonSchema(): unknown {
  return z.toJSONSchema(runSpecSchema, { io: 'input' });
}

/**
 * Checks a parsed spec.
 * @param where the file name that error messages show
 * @throws {InvalidSpec} naming every wrong field, its value and the remedy
 */
export function parseRunSpec(input: unknown, where: string): RunSpec {
  const result = runSpecSchema.safeParse(input);
  if (result.success) return result.data;
  const lines = result.error.issues.flatMap((issue) => describeIssue(issue, input, runSpecSchema));
  throw new InvalidSpec(`${where}: ${lines.length === 1 ? '' : '\n  '}${lines.join('\n  ')}`);
}

/**
 * Reads a YAML or JSON spec and makes its local paths absolute, relative to the folder of the spec.
 * @throws {InvalidSpec}
 */
export async function loadRunSpec(file: string): Promise<RunSpec> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw new InvalidSpec(`${file}: cannot be read (${(error as Error).message}); give the path of a run spec`);
  }
  let document: unknown;
  try {
    document = parseYaml(text);
  } catch (error) {
    throw new InvalidSpec(`${file}: is not YAML: ${(error as Error).message}`);
  }
  const spec = parseRunSpec(document, file);
  const base = dirname(resolve(file));
  const { stitching } = spec.diagnostics;
  const absolute = (path: string) => (/^[a-z][a-z0-9]*:\/\//i.test(path) ? path : resolve(base, path));
  return {
    ...spec,
    source: spec.source.map(({ path }) => ({ path: path === BUNDLED_CRYSTALS ? path : absolute(path) })),
    ...(spec.model_store ? { model_store: spec.model_store.map(absolute) } : {}),
    output: absolute(spec.output),
    similarity: {
      ...spec.similarity,
      ...(spec.similarity.rows === undefined ? {} : { rows: absolute(spec.similarity.rows) }),
    },
    diagnostics: {
      ...spec.diagnostics,
      stitching: { ...stitching, labels: stitching.labels.map((label) => ({ ...label, path: absolute(label.path) })) },
    },
  };
}

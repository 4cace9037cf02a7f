import { stringify } from 'yaml';
import { canonicalJsonBytes } from './canonicalJson.js';
import type { PinnedBasis } from './catalog.js';
import type { SimilarityHeadline } from './headline.js';
import { diagnosticsSection, type DiagnosticFindings } from './diagnosticsCard.js';
import * as keys from './keys.js';
import { markdownTable } from './markdown.js';
import { TABLE_SCHEMAS } from './tables/schemas.js';

/** One model as the card describes it. */
export interface CardModel {
  id: string;
  /** SPDX id or name of the licence of its weights. */
  license: string;
  /** Components of an embedding. */
  dim: number;
  /** Structures and atoms embedded. */
  structures: number;
  atoms: number;
  /** Structures refused, by reason code. */
  quarantined: Readonly<Record<string, number>>;
}

/** What a dataset card is made from: content only, so that equal runs have equal cards. */
export interface CardContent {
  name: string;
  /** Digests: of the snapshot as in paths, of the manifest in full. */
  snapshot: string;
  manifest: string;
  basis: PinnedBasis;
  /** Structures and atoms of the snapshot. */
  structures: number;
  atoms: number;
  /** Structures that did not make it into the snapshot, by reason code. */
  quarantined: Readonly<Record<string, number>>;
  similarity: SimilarityHeadline;
  diagnostics: DiagnosticFindings;
  models: readonly CardModel[];
  /** Rows of each published table. */
  tables: Readonly<Record<string, number>>;
}

const SIZE_CATEGORIES = [
  [1e3, 'n<1K'],
  [1e4, '1K<n<10K'],
  [1e5, '10K<n<100K'],
  [1e6, '100K<n<1M'],
  [1e7, '1M<n<10M'],
  [1e8, '10M<n<100M'],
  [Infinity, '100M<n<1B'],
] as const;

/**
 * `README.md` of a dataset, in the form the Hugging Face Hub reads: front matter with one configuration a model, then what it
 * is, how it was made, what is missing, how to load it. The code in it runs as it stands in the dataset's folder.
 */
export function datasetCard(content: CardContent): string {
  const { name, models, basis, snapshot } = content;
  const shortSnapshot = keys.shortId(snapshot);
  const frontMatter = stringify({
    license: 'other',
    pretty_name: name,
    tags: ['materials-science', 'interatomic-potentials', 'embeddings', 'koine'],
    size_categories: [SIZE_CATEGORIES.find(([limit]) => content.atoms < limit)?.[1]],
    configs: models.flatMap(({ id }) => [
      { config_name: `embeddings-${id}`, data_files: `${keys.embeddingsLeaf(snapshot, id)}*.parquet` },
      { config_name: `coordinates-${id}`, data_files: `${keys.coordinatesLeaf(snapshot, basis.digest, id)}*.parquet` },
    ]),
  });
  const modelRows = models.map(({ id, license, dim, structures, atoms, quarantined }) => [
    `\`${id}\``,
    license,
    dim,
    structures,
    atoms,
    sum(quarantined),
  ]);
  const tableRows = Object.entries(content.tables).map(([table, rows]) => [
    `\`${table}\``,
    rows,
    TABLE_SCHEMAS[table]?.description ?? '',
  ]);
  const gaps = [
    ...Object.entries(content.quarantined).map(([code, n]) => ['(unreadable or unsound)', code, n]),
    ...models.flatMap(({ id, quarantined }) => Object.entries(quarantined).map(([code, n]) => [`\`${id}\``, code, n])),
  ];
  return `---
${frontMatter}---

# ${name}

Per-atom vectors of ${models.length} machine-learning interatomic potentials for ${content.structures} crystals
(${content.atoms} atoms), and the coordinates that all of them share: for each atom the cosines of a model's embedding to that
model's own embeddings of ${basis.anchors} anchor atoms. Coordinates of different models can be compared number by number.

## How it was made

Made by koine. Snapshot \`${shortSnapshot}\`, basis \`${keys.shortId(basis.digest)}\` (method \`${basis.method}\`, ${basis.anchors} anchors chosen with
\`${basis.reference_model}\`), manifest \`${content.manifest}\`. The manifest lists every object with its sha256, and everything
that went in. \`catalog.json\` points at the newest manifest; a folder with \`_SUCCESS\` is complete.

## Models

${markdownTable(['model', 'licence of the weights', 'd', 'structures', 'atoms', 'quarantined'], modelRows)}

${similaritySection(content.similarity)}${diagnosticsSection(content.diagnostics)}## Tables

${markdownTable(['table', 'rows', 'what it is'], tableRows)}

Rows of \`embeddings\` and \`coordinates\` are sorted by (\`material_id\`, \`atom_index\`); \`material_id\` joins with \`structures\` and with
the source database. Columns:

${columnList(Object.keys(content.tables))}

## Known gaps

${gaps.length === 0 ? 'None: every structure was embedded by every model.' : markdownTable(['model', 'reason', 'structures'], gaps)}

Table \`quarantine\` names each structure with the cause.

## How to load it

${Object.entries(loadingCode(content))
  .map(([title, code]) => `${title}:\n\n\`\`\`python\n${code}\n\`\`\`\n`)
  .join('\n')}
## Citation

The idea: Z. Li and A. Walsh, "Platonic representation of foundation machine learning interatomic potentials",
arXiv:2512.05349. Cite the potentials as their authors ask.
`;
}

/** The headline of similarity, pair by pair; nothing where there is no pair. */
function similaritySection({ pairs, models, average, lineages }: SimilarityHeadline): string {
  if (pairs.length === 0) return '';
  const controls = new Map(models.flatMap(({ id, control }) => (control === null ? [] : [[id, control]])));
  const named = (id: string) => `\`${id}\`${controls.has(id) ? ` (control: ${controls.get(id)})` : ''}`;
  const fixed = (value: number) => value.toFixed(3);
  const rows = [...pairs]
    .sort((a, b) => b.calibrated - a.calibrated)
    .map(({ model_a, model_b, calibrated, low, high, p_value, value, n }) => [
      named(model_a),
      named(model_b),
      fixed(calibrated),
      `${fixed(low)} to ${fixed(high)}`,
      fixed(p_value),
      fixed(value),
      n,
    ]);
  const averages = models
    .filter(({ average: own }) => own !== null)
    .map(({ id, lineage, average: own }) => [named(id), `\`${lineage}\``, fixed(own!)]);
  return `## Similarity

How far two models agree on which atoms are alike, beyond what composition alone explains: the share of an atom's nearest neighbours (Euclidean, in
the coordinates) that both models find, calibrated against permutations of atoms within each element. 0 is no more than such a permutation has,
1 is the same neighbours. Models of one lineage share weights; controls are no potentials and show what the number is without knowledge.

${markdownTable(['model', 'model', 'score', '95 % interval', 'p', 'neighbours in common', 'atoms'], rows)}

${average === null ? 'No two lineages to average over.' : `Mean over pairs of ${lineages} lineages, each pair counted once, controls left out: ${fixed(average)}. By model:\n\n${markdownTable(['model', 'lineage', 'mean over other lineages'], averages)}`}

`;
}

/** Python that loads one model's coordinates, by library; paths are relative to the dataset's folder. */
function loadingCode({ snapshot, basis, models }: CardContent): Record<string, string> {
  const model = models[0]?.id ?? 'MODEL';
  const leaf = keys.coordinatesLeaf(snapshot, basis.digest, model);
  const everything = 'coordinates/snapshot=*/basis=*/model=*/*.parquet';
  return {
    pandas: `import pandas as pd\n\ndf = pd.read_parquet("${leaf}")`,
    polars: `import polars as pl\n\ndf = pl.read_parquet("${everything}", hive_partitioning=True).filter(pl.col("model") == "${model}")`,
    DuckDB: `import duckdb\n\ndf = duckdb.sql("""\n    SELECT * FROM read_parquet('${everything}', hive_partitioning = true)\n    WHERE model = '${model}'\n""").df()`,
    pyarrow: `import pyarrow.dataset as ds\n\ndf = ds.dataset("coordinates", partitioning="hive").to_table(filter=ds.field("model") == "${model}").to_pandas()`,
  };
}

/** `croissant.json`: the dataset for machines, by the MLCommons Croissant 1.0 vocabulary; one record set a table. */
export function croissant(content: CardContent): Uint8Array {
  const tables = Object.keys(content.tables).filter((table) => table in TABLE_SCHEMAS);
  return canonicalJsonBytes({
    '@context': CROISSANT_CONTEXT,
    '@type': 'sc:Dataset',
    conformsTo: 'http://mlcommons.org/croissant/1.0',
    name: content.name,
    description: `Per-atom embeddings and shared coordinates of ${content.models.length} interatomic potentials for ${content.structures} crystals.`,
    version: content.manifest,
    distribution: [
      {
        '@type': 'cr:FileObject',
        '@id': 'manifest',
        contentUrl: keys.manifest(content.manifest),
        encodingFormat: 'application/json',
        sha256: content.manifest,
      },
      ...tables.map((table) => ({
        '@type': 'cr:FileSet',
        '@id': `${table}-files`,
        encodingFormat: 'application/x-parquet',
        includes: globOf(table),
      })),
    ],
    recordSet: tables.map((table) => ({
      '@type': 'cr:RecordSet',
      '@id': table,
      description: TABLE_SCHEMAS[table].description,
      field: Object.entries(TABLE_SCHEMAS[table].columns).map(([column, { type, description }]) => ({
        '@type': 'cr:Field',
        '@id': `${table}/${column}`,
        description,
        dataType: CROISSANT_TYPE[scalarOf(type)],
        repeated: type.includes('list<'),
        source: { fileSet: { '@id': `${table}-files` }, extract: { column } },
      })),
    })),
  });
}

const CROISSANT_CONTEXT = {
  '@language': 'en',
  '@vocab': 'https://schema.org/',
  column: 'cr:column',
  conformsTo: 'dct:conformsTo',
  cr: 'http://mlcommons.org/croissant/',
  dataType: { '@id': 'cr:dataType', '@type': '@vocab' },
  dct: 'http://purl.org/dc/terms/',
  extract: 'cr:extract',
  field: 'cr:field',
  fileSet: 'cr:fileSet',
  includes: 'cr:includes',
  recordSet: 'cr:recordSet',
  repeated: 'cr:repeated',
  sc: 'https://schema.org/',
  source: 'cr:source',
};

const CROISSANT_TYPE = { string: 'sc:Text', integer: 'sc:Integer', float: 'sc:Float' } as const;

function scalarOf(type: string): keyof typeof CROISSANT_TYPE {
  if (type.startsWith('string')) return 'string';
  return type.includes('int') ? 'integer' : 'float';
}

function globOf(table: string): string {
  if (table === 'structures') return 'snapshots/*/structures/*.parquet';
  if (table === 'anchors') return 'bases/*/anchors.parquet';
  if (table === 'anchor_vectors') return 'bases/*/anchor_vectors/*/*.parquet';
  return `${table}/**/*.parquet`;
}

function columnList(tables: readonly string[]): string {
  return tables
    .filter((table) => table in TABLE_SCHEMAS)
    .map((table) => {
      const columns = Object.entries(TABLE_SCHEMAS[table].columns);
      const lines = columns.map(([name, { type, description }]) => `  - \`${name}\` ${type}: ${description}`);
      return [`- \`${table}\``, ...lines].join('\n');
    })
    .join('\n');
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, n) => total + n, 0);
}

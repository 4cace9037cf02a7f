import { analogiesTable } from './analogies.js';
import { anchorQualityTable } from './anchorQuality.js';
import { anchorsTable } from './anchors.js';
import { arithmeticTable } from './arithmetic.js';
import { atypicalTable } from './atypical.js';
import { driftTable } from './drift.js';
import { elementBiasTable } from './elementBias.js';
import { errorPredictionTable } from './errorPrediction.js';
import { elementTransportTable } from './elementTransport.js';
import { modelDiagnosticsTable } from './modelDiagnostics.js';
import { quarantineTable } from './quarantine.js';
import type { Columns, RowTable } from './rowTable.js';
import { similarityTable } from './similarity.js';
import { similarityRowsTable } from './similarityRows.js';
import { stitchingTable } from './stitching.js';
import { symmetryTable } from './symmetry.js';
import { transportTable } from './transport.js';
import { transportSummaryTable } from './transportSummary.js';

/** What a table is for, its partition folders and its columns: the source of manifests' schemas and of the dataset card. */
export interface TableSchema {
  description: string;
  /** Names of the `name=value` folders, outermost first; they are no file columns. */
  partitions: readonly string[];
  columns: Readonly<Record<string, { type: string; description: string }>>;
}

/** The row-shaped tables by name. */
export const ROW_TABLES: Readonly<Record<string, RowTable<Columns>>> = Object.fromEntries(
  (
    [
      anchorsTable,
      anchorQualityTable,
      similarityTable,
      similarityRowsTable,
      transportTable,
      transportSummaryTable,
      elementTransportTable,
      modelDiagnosticsTable,
      symmetryTable,
      elementBiasTable,
      atypicalTable,
      errorPredictionTable,
      arithmeticTable,
      analogiesTable,
      stitchingTable,
      driftTable,
      quarantineTable,
    ] as unknown as RowTable<Columns>[]
  ).map((table) => [table.name, table]),
);

const materialId = { type: 'string', description: 'Identifier of the structure; joins with the source database.' };
const atomIndex = { type: 'int32', description: 'Atom of that structure, from 0 in source order.' };
const atomicNumber = { type: 'int32', description: 'Z of the atom.' };
const pair = ['snapshot', 'basis', 'params'];

/** Every table of a dataset by name. Types are Arrow's; `?` marks nullable columns. */
export const TABLE_SCHEMAS: Readonly<Record<string, TableSchema>> = {
  structures: {
    description: 'The crystals of a snapshot.',
    partitions: [],
    columns: {
      material_id: materialId,
      structure_hash: {
        type: 'string',
        description: 'Digest of the structure, equal for equal content across formats.',
      },
      formula: { type: 'string', description: 'Reduced formula.' },
      n_atoms: { type: 'int32', description: 'Atoms in the cell.' },
      atomic_numbers: { type: 'list<int32>', description: 'Z of each atom, in source order.' },
      lattice: { type: 'fixed_size_list<float64>[9]', description: 'Lattice vectors a, b, c in Å, row-major.' },
      fractional_coordinates: {
        type: 'list<float64>',
        description: 'x, y, z of each atom in units of the lattice vectors.',
      },
      space_group: { type: 'int32', description: 'International number; 0 where it could not be determined.' },
      orbits: { type: 'list<int32>', description: 'For each atom the first atom of its symmetry orbit.' },
      source: { type: 'string', description: 'File and place the structure came from.' },
    },
  },
  embeddings: {
    description: 'Per-atom vectors of one model, its own latent space.',
    partitions: ['snapshot', 'model'],
    columns: {
      material_id: materialId,
      atom_index: atomIndex,
      atomic_number: atomicNumber,
      embedding: { type: 'fixed_size_list<float32>', description: "The model's vector of the atom." },
    },
  },
  anchors: rowSchema('anchors', 'The atoms a basis is made of.', []),
  anchor_vectors: {
    description: "One model's own embeddings of the anchors.",
    partitions: ['model'],
    columns: {
      anchor: { type: 'int32', description: 'Position of the anchor in the basis.' },
      vector: { type: 'fixed_size_list<float32>', description: "The model's embedding of the anchor." },
    },
  },
  coordinates: {
    description: 'Per-atom cosines to the K anchors: the representation all models share.',
    partitions: ['snapshot', 'basis', 'model'],
    columns: {
      material_id: materialId,
      atom_index: atomIndex,
      atomic_number: atomicNumber,
      coordinates: { type: 'fixed_size_list<float32>', description: 'Cosine to anchor k at position k.' },
    },
  },
  structure_vectors: {
    description: 'Coordinates averaged over the atoms of a structure.',
    partitions: ['snapshot', 'basis', 'model'],
    columns: {
      material_id: materialId,
      n_atoms: { type: 'int32', description: 'Atoms averaged.' },
      mean: { type: 'fixed_size_list<float32>', description: 'Mean of the coordinates.' },
    },
  },
  similarity: rowSchema('similarity', 'How alike two models are.', pair),
  similarity_rows: rowSchema('similarity_rows', 'The atoms behind every similarity.', [...pair, 'model_a', 'model_b']),
  transport: rowSchema('transport', 'Optimal-transport plans between two models.', [...pair, 'model_a', 'model_b']),
  transport_barycentric: {
    description: 'Where the first plan of each design sends atoms of model_a, at most 500 of them.',
    partitions: [...pair, 'model_a', 'model_b'],
    columns: {
      draw: { type: 'int32', description: 'Number of the plan, as in transport_summary, which says its design.' },
      material_id: materialId,
      atom_index: atomIndex,
      image: {
        type: 'fixed_size_list<float32>',
        description: 'Mean coordinates in model_b of the atoms that the plan sends this one to, weighted by mass.',
      },
      residual: { type: 'float32', description: "Distance of the image from the atom's own coordinates in model_a." },
    },
  },
  transport_summary: rowSchema('transport_summary', 'Costs and certificates of the plans.', pair),
  element_transport: rowSchema('element_transport', 'Plans summed over elements.', pair),
  anchor_quality: rowSchema('anchor_quality', 'How well the anchors cover the data.', pair),
  model_diagnostics: rowSchema('model_diagnostics', "How a model's vectors are spread, with warnings.", pair),
  symmetry: rowSchema('symmetry', 'What symmetry each model respects, measured.', pair),
  element_bias: rowSchema('element_bias', 'How far apart two models put an element.', pair),
  atypical: rowSchema('atypical', 'How unusual structures and atoms are; no error bars.', [...pair, 'model']),
  error_prediction: rowSchema(
    'error_prediction',
    "How well scores of atypicality foretell a model's error against a label, beside plain baselines.",
    pair,
  ),
  arithmetic: rowSchema(
    'arithmetic',
    'Whether replacing an element is an addition, beside controls made of composition alone.',
    pair,
  ),
  analogies: rowSchema('analogies', 'The substitutions behind table arithmetic.', pair),
  stitching: rowSchema('stitching', "What a head fitted on one model's vectors reaches on another's.", pair),
  drift: rowSchema('drift', 'What changed between versions of a model.', pair),
  quarantine: rowSchema('quarantine', 'Structures that could not be processed, and why.', ['snapshot']),
};

/** Column types of a table by name, as a manifest lists them. @throws RangeError where there is no such table */
export function schemaOf(table: string): Record<string, string> {
  const schema = TABLE_SCHEMAS[table];
  if (!schema)
    throw new RangeError(`datasets: there is no table '${table}'; there are ${Object.keys(TABLE_SCHEMAS).join(', ')}`);
  return Object.fromEntries(Object.entries(schema.columns).map(([name, { type }]) => [name, type]));
}

function rowSchema(table: string, description: string, partitions: readonly string[]): TableSchema {
  return { description, partitions, columns: ROW_TABLES[table].columns };
}

import { digestJson, sha256Hex } from '../../datasets/digest.js';
import type { CardContent } from '../../datasets/card.js';
import type { PinnedBasis } from '../../datasets/catalog.js';
import { commitRun } from '../../datasets/commit.js';
import { similarityHeadline } from '../../datasets/headline.js';
import * as keys from '../../datasets/keys.js';
import type { PartEntry, RunContent } from '../../datasets/manifest.js';
import type { ObjectStore } from '../../datasets/store/objectStore.js';
import { encodeAnchorVectors } from '../../datasets/tables/anchorVectors.js';
import { anchorsTable } from '../../datasets/tables/anchors.js';
import { offsetsOfCounts, type AtomVectors } from '../../datasets/tables/atomVectors.js';
import { encodeCoordinates } from '../../datasets/tables/coordinates.js';
import { elementTransportTable } from '../../datasets/tables/elementTransport.js';
import { encodeEmbeddings } from '../../datasets/tables/embeddings.js';
import { quarantineTable } from '../../datasets/tables/quarantine.js';
import { schemaOf } from '../../datasets/tables/schemas.js';
import { similarityTable } from '../../datasets/tables/similarity.js';
import { similarityRowsTable } from '../../datasets/tables/similarityRows.js';
import { encodeStructureVectors } from '../../datasets/tables/structureVectors.js';
import { encodeStructures, type StructureRow } from '../../datasets/tables/structures.js';
import { analogiesTable } from '../../datasets/tables/analogies.js';
import { atypicalTable } from '../../datasets/tables/atypical.js';
import { encodeTransportBarycentric } from '../../datasets/tables/transportBarycentric.js';
import { transportTable } from '../../datasets/tables/transport.js';
import { transportSummaryTable } from '../../datasets/tables/transportSummary.js';

export const SNAPSHOT = digestJson('sample snapshot');
export const PINNED: PinnedBasis = {
  digest: digestJson('sample basis'),
  method: 'direct',
  anchors: 3,
  reference_model: 'model-a',
};
export const PARAMS = digestJson('sample parameters');

/** Two shards of structures; `é-3` sorts after every ASCII id. */
const SHARDS: StructureRow[][] = [
  [structure('mp-1', 2), structure('mp-10', 1), structure('mp-2', 3)],
  [structure('mp-3', 1), structure('é-3', 4)],
];

function structure(materialId: string, atoms: number): StructureRow {
  return {
    materialId,
    structureHash: digestJson(materialId),
    formula: 'NaCl',
    atomicNumbers: Uint8Array.from({ length: atoms }, (_, i) => (i % 2 === 0 ? 11 : 17)),
    lattice: Float64Array.of(1 / 3, 0, 0, 0, 4.1, 0, -0.1, 0, 5e-310),
    fractionalCoordinates: Float64Array.from({ length: 3 * atoms }, (_, i) => (i / 7) % 1),
    spaceGroup: 225,
    orbits: Int32Array.from({ length: atoms }, (_, i) => i % 2),
    source: `sample.csv:${materialId}`,
  };
}

/** Numbers that look random and depend on `seed` only. */
function numbers(seed: number, length: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => Math.sin(seed * 12.9898 + i * 78.233));
}

export function atomVectors(rows: readonly StructureRow[], dim: number, seed: number): AtomVectors {
  const atomicNumbers = Uint8Array.from(rows.flatMap((row) => [...row.atomicNumbers]));
  return {
    materialIds: rows.map((row) => row.materialId),
    offsets: offsetsOfCounts(rows.map((row) => row.atomicNumbers.length)),
    atomicNumbers,
    vectors: numbers(seed, atomicNumbers.length * dim),
    dim,
  };
}

/**
 * Writes a small dataset with every table and commits it.
 * @param options.models in the spec's order; `seed` changes every number of a model, as other weights would
 * @returns what was committed
 */
export async function writeSample(
  store: ObjectStore,
  options: { name?: string; models?: string[]; seed?: number; draft?: (content: RunContent) => RunContent } = {},
): Promise<{ digest: string; content: RunContent; parts: Map<string, PartEntry[]> }> {
  const models = options.models ?? ['model-a', 'model-b'];
  const seed = options.seed ?? 1;
  const parts = new Map<string, PartEntry[]>();
  const write = async (table: string, keyOf: (sha256: string) => string, bytes: Uint8Array, rows: number) => {
    const sha256 = sha256Hex(bytes);
    const entry = { key: keyOf(sha256), bytes: bytes.length, rows, sha256 };
    await store.put(entry.key, bytes);
    parts.set(table, [...(parts.get(table) ?? []), entry]);
  };
  const basis = PINNED.digest;
  const anchors = [
    { anchor: 0, material_id: 'mp-1', atom_index: 1, atomic_number: 17 },
    { anchor: 1, material_id: 'mp-2', atom_index: 0, atomic_number: 11 },
    { anchor: 2, material_id: 'é-3', atom_index: 3, atomic_number: 17 },
  ];
  await write('anchors', () => keys.anchors(basis), await anchorsTable.encode(anchors), 3);
  for (const [shard, rows] of SHARDS.entries()) {
    const atoms = rows.reduce((sum, row) => sum + row.atomicNumbers.length, 0);
    await write('structures', (sha) => keys.structuresPart(SNAPSHOT, shard, sha), encodeStructures(rows), rows.length);
    for (const model of models) {
      const own = seed * 100 + shard * 10 + model.charCodeAt(model.length - 1);
      const embeddings = encodeEmbeddings(atomVectors(rows, 5, own), { model });
      await write('embeddings', (sha) => keys.embeddingsPart(SNAPSHOT, model, shard, sha), embeddings, atoms);
      const coordinates = encodeCoordinates(atomVectors(rows, 3, own + 1), { model });
      await write('coordinates', (sha) => keys.coordinatesPart(SNAPSHOT, basis, model, shard, sha), coordinates, atoms);
      const means = encodeStructureVectors({
        materialIds: rows.map((row) => row.materialId),
        atomCounts: Int32Array.from(rows, (row) => row.atomicNumbers.length),
        means: numbers(own + 2, 3 * rows.length),
        dim: 3,
      });
      await write(
        'structure_vectors',
        (sha) => keys.structureVectorsPart(SNAPSHOT, basis, model, shard, sha),
        means,
        rows.length,
      );
    }
  }
  for (const model of models) {
    const vectors = encodeAnchorVectors({ vectors: numbers(seed + model.charCodeAt(model.length - 1), 15), dim: 5 });
    await write('anchor_vectors', (sha) => keys.anchorVectors(basis, model, sha), vectors, 3);
  }
  const place = { snapshot: SNAPSHOT, basis, params: PARAMS };
  for (const model of [...models, keys.ALL_MODELS]) {
    const scores = {
      disagreement: null,
      disagreement_percentile: null,
      novelty: seed,
      novelty_percentile: 0.5,
      anchor_cosine: null,
      anchor_percentile: null,
    };
    const atypical = [
      { level: 'structure', material_id: 'mp-1', atom_index: null, atomic_number: null, ...scores },
      { level: 'atom', material_id: 'é-3', atom_index: 3, atomic_number: 17, ...scores },
    ];
    const bytes = await atypicalTable.encode(atypical);
    await write('atypical', (sha) => keys.atypicalPart(place, model, 0, sha), bytes, 2);
    if (model === keys.ALL_MODELS) continue;
    const analogy = {
      model,
      analogy: 'NaCl + 1/2 (K - Na) -> KCl',
      source_material_id: 'mp-1',
      target_material_id: 'mp-2',
      from_element: 11,
      to_element: 19,
      share: 0.5,
      space_group: 225,
      rank: seed,
      rank_no_change: 2,
      rank_composition: 1,
      rank_one_hot: 1,
      relative_error: null,
      candidates: 4,
    };
    const analogies = await analogiesTable.encode([analogy]);
    await write('analogies', (sha) => keys.diagnosticPart('analogies', place, [model], sha), analogies, 1);
  }
  for (const [i, modelA] of models.entries()) {
    for (const modelB of models.slice(i + 1)) {
      const pair = { snapshot: SNAPSHOT, basis, params: PARAMS, modelA, modelB };
      const names = { model_a: modelA, model_b: modelB };
      const similarity = [
        {
          ...names,
          space: 'coordinates',
          metric: 'linear_cka',
          stratum: 'all',
          value: 0.5 + seed / 1000,
          low: null,
          high: null,
          n: 2,
          draws: 1,
          seed: 42,
          k: null,
          null: 'none',
          null_mean: null,
          null_threshold: null,
          calibrated: null,
          calibrated_low: null,
          calibrated_high: null,
          p_value: null,
          permutations: null,
          hubness_a: null,
          hubness_b: null,
        },
      ];
      const similarityBytes = await similarityTable.encode(similarity);
      await write('similarity', (sha) => keys.pairPart('similarity', pair, sha), similarityBytes, 1);
      const drawn = [
        { draw: 0, material_id: 'mp-1', atom_index: 1, place: 1 },
        { draw: 0, material_id: 'é-3', atom_index: 0, place: 0 },
      ];
      const drawnBytes = await similarityRowsTable.encode(drawn);
      await write('similarity_rows', (sha) => keys.pairRowsPart('similarity_rows', pair, 0, sha), drawnBytes, 2);
      const plan = drawn.map((source, j) => ({
        draw: 0,
        source_material_id: source.material_id,
        source_atom_index: source.atom_index,
        target_material_id: drawn[1 - j].material_id,
        target_atom_index: drawn[1 - j].atom_index,
        mass: 0.5,
        cost: seed / 10,
      }));
      await write(
        'transport',
        (sha) => keys.pairRowsPart('transport', pair, 0, sha),
        await transportTable.encode(plan),
        2,
      );
      const images = encodeTransportBarycentric({
        draws: Int32Array.of(0, 0),
        materialIds: drawn.map(({ material_id }) => material_id),
        atomIndices: Int32Array.from(drawn, ({ atom_index }) => atom_index),
        images: numbers(seed, 6),
        dim: 3,
        residuals: Float32Array.of(0.5, seed),
      });
      const imagesPart = (sha: string) => keys.pairRowsPart('transport_barycentric', pair, 0, sha);
      await write('transport_barycentric', imagesPart, images, 2);
      const summary = [
        {
          ...names,
          draw: 0,
          design: 'same',
          space: 'coordinates',
          solver: 'exact',
          n: 2,
          m: 2,
          cost: seed / 10,
          dual: seed / 10,
          gap: 0,
          paired_cost: 1,
          random_cost: 2,
          alignment_ratio: 0.3,
          identity_mass: 0,
          identity_chance: 0.5,
          element_match_mass: 0,
          element_match_chance: 0,
          element_match_floor: 0,
          element_match_ceiling: 1,
          mass: 1,
          dropped_mass: 0,
          seed: 42,
          epsilon: null,
          regularised_cost: null,
          divergence: null,
          iterations: 3,
          converged: 1,
          marginal_error: 0,
        },
      ];
      const summaryBytes = await transportSummaryTable.encode(summary);
      await write('transport_summary', (sha) => keys.pairPart('transport_summary', pair, sha), summaryBytes, 1);
      const elements = [{ ...names, design: 'same', source_element: 17, target_element: 11, mass: 1 }];
      const elementBytes = await elementTransportTable.encode(elements, { seed: String(seed) });
      await write('element_transport', (sha) => keys.pairPart('element_transport', pair, sha), elementBytes, 1);
    }
  }
  const refused = [
    { material_id: 'mp-9', source: 'sample.csv:9', stage: 'snapshot', model: null, code: 'empty', message: 'no atoms' },
  ];
  const sources = digestJson('sample sources');
  const refusedBytes = await quarantineTable.encode(refused);
  await write('quarantine', (sha) => keys.quarantinePart(SNAPSHOT, 'snapshot', sources, 0, sha), refusedBytes, 1);

  const content: RunContent = {
    name: options.name ?? 'sample',
    snapshot: SNAPSHOT,
    basis: { ...PINNED },
    inputs: { models: models.map((id) => ({ id, seed })) },
    params: { similarity: { seed: 42 } },
    counts: { structures: 5, atoms: 11 },
    documents: [],
    tables: [...parts].map(([table, entries]) => ({ table, schema: schemaOf(table), parts: entries })),
  };
  const final = options.draft?.(content) ?? content;
  const digest = await commitRun(store, final, { basis: PINNED });
  return { digest, content: final, parts };
}

export function sampleCard(digest: string): CardContent {
  const model = { license: 'MIT', dim: 5, structures: 5, atoms: 11, quarantined: {} };
  return {
    name: 'sample',
    snapshot: SNAPSHOT,
    manifest: digest,
    basis: PINNED,
    structures: 5,
    atoms: 11,
    quarantined: { empty: 1 },
    similarity: similarityHeadline([], []),
    diagnostics: { models: [], oneHot: null, judged: [], warnings: [], tables: [] },
    models: [
      { id: 'model-a', ...model },
      { id: 'model-b', ...model, quarantined: { unsupported_element: 2 } },
    ],
    tables: { structures: 5, embeddings: 22, coordinates: 22, similarity: 1, quarantine: 1 },
  };
}

import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { parquetMetadata } from 'hyparquet';
import { wasmMemory } from 'parquet-wasm';
import { describe, expect, test } from 'vitest';
import { compareCodePoints } from '../../text/codePoints.js';
import { sha256Hex } from '../../datasets/digest.js';
import { decodeAnchorVectors, encodeAnchorVectors } from '../../datasets/tables/anchorVectors.js';
import { anchorsTable } from '../../datasets/tables/anchors.js';
import { TableCorrupt } from '../../datasets/tables/arrowParquet.js';
import { offsetsOfCounts } from '../../datasets/tables/atomVectors.js';
import { decodeCoordinates, encodeCoordinates } from '../../datasets/tables/coordinates.js';
import { decodeEmbeddings, encodeEmbeddings } from '../../datasets/tables/embeddings.js';
import { quarantineTable } from '../../datasets/tables/quarantine.js';
import { ROW_TABLES, TABLE_SCHEMAS } from '../../datasets/tables/schemas.js';
import { similarityTable } from '../../datasets/tables/similarity.js';
import { decodeStructureVectors, encodeStructureVectors } from '../../datasets/tables/structureVectors.js';
import { decodeStructures, encodeStructures, type StructureRow } from '../../datasets/tables/structures.js';
import { transportTable } from '../../datasets/tables/transport.js';
import { compiledEntry } from '../../threads/pool.js';

const EDGES = [0, -0, 1e-45, -1e-45, 1.1754942e-38, 3.4028235e38, -3.4028235e38, 1 / 3];
const bitsOf = (array: Float32Array | Float64Array) =>
  Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString('hex');

const atoms = fc
  .record({
    ids: fc.uniqueArray(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }), { minLength: 0, maxLength: 8 }),
    dim: fc.integer({ min: 1, max: 9 }),
    seed: fc.integer(),
  })
  .map(({ ids, dim, seed }) => {
    const materialIds = ids.sort(compareCodePoints);
    const counts = materialIds.map((id) => 1 + (Math.abs(seed + id.length * 7) % 5));
    const offsets = offsetsOfCounts(counts);
    const n = offsets[materialIds.length];
    const atomicNumbers = Int32Array.from({ length: n }, (_, i) => 1 + (Math.abs(seed + i) % 118));
    const vectors = Float32Array.from({ length: n * dim }, (_, i) =>
      i % 3 === 0 ? EDGES[i % EDGES.length] : Math.sin(seed + i),
    );
    return { materialIds, offsets, atomicNumbers, vectors, dim };
  });

describe('vector tables', () => {
  test('come back bit for bit, with ids of any script', () => {
    fc.assert(
      fc.property(atoms, (rows) => {
        const back = decodeEmbeddings(encodeEmbeddings(rows, { model: 'm' }));
        expect(back.metadata).toEqual({ model: 'm' });
        expect(back.materialIds).toEqual(rows.materialIds);
        expect(back.offsets).toEqual(rows.offsets);
        expect(back.atomicNumbers).toEqual(rows.atomicNumbers);
        expect(back.dim).toBe(rows.dim);
        expect(bitsOf(back.vectors)).toBe(bitsOf(rows.vectors));
      }),
      { numRuns: 60 },
    );
  });

  test('are read across row groups and batches into one contiguous array', () => {
    const structures = 9_000;
    const counts = new Int32Array(structures).fill(5);
    const rows = {
      materialIds: Array.from({ length: structures }, (_, i) => `mp-${String(i).padStart(6, '0')}`),
      offsets: offsetsOfCounts(counts),
      atomicNumbers: new Uint8Array(5 * structures).fill(14),
      vectors: Float32Array.from({ length: 5 * structures * 16 }, (_, i) => i),
      dim: 16,
    };
    const bytes = encodeCoordinates(rows);
    expect(parquetMetadata(bytes.slice().buffer).row_groups.map((group) => Number(group.num_rows))).toEqual([
      20_000, 20_000, 5_000,
    ]);
    const back = decodeCoordinates(bytes);
    expect(back.materialIds).toEqual(rows.materialIds);
    expect(Buffer.compare(Buffer.from(back.vectors.buffer), Buffer.from(rows.vectors.buffer))).toBe(0);
  });

  test('are zstd with BYTE_STREAM_SPLIT for vectors, statistics for ids only, non-null 3-level lists', () => {
    const bytes = encodeEmbeddings({
      materialIds: ['a', 'b'],
      offsets: Int32Array.of(0, 2, 3),
      atomicNumbers: Uint8Array.of(1, 2, 3),
      vectors: new Float32Array(12).fill(0.5),
      dim: 4,
    });
    const { row_groups, schema, key_value_metadata } = parquetMetadata(bytes.slice().buffer);
    const columns = row_groups[0].columns.map(({ meta_data }) => ({
      path: meta_data?.path_in_schema.join('.'),
      codec: meta_data?.codec,
      split: meta_data?.encodings.includes('BYTE_STREAM_SPLIT'),
      statistics: meta_data?.statistics?.min_value !== undefined,
    }));
    const id = { codec: 'ZSTD', split: false, statistics: true };
    expect(columns).toEqual([
      { path: 'material_id', ...id },
      { path: 'atom_index', ...id },
      { path: 'atomic_number', ...id },
      { path: 'embedding.list.element', codec: 'ZSTD', split: true, statistics: false },
    ]);
    expect(schema.slice(1).map(({ name, repetition_type }) => `${name} ${repetition_type}`)).toEqual([
      'material_id REQUIRED',
      'atom_index REQUIRED',
      'atomic_number REQUIRED',
      'embedding REQUIRED',
      'list REPEATED',
      'element REQUIRED',
    ]);
    expect(key_value_metadata?.map(({ key }) => key).sort()).toEqual(['ARROW:schema', 'koine']);
  });

  const sound = {
    materialIds: ['a', 'b'],
    offsets: Int32Array.of(0, 2, 3),
    atomicNumbers: Uint8Array.of(1, 2, 3),
    vectors: new Float32Array(6),
    dim: 2,
  };
  test.each([
    ['ids out of order', { materialIds: ['b', 'a'] }, /material_id 'a' after 'b'/],
    ['ids in UTF-16 but not code-point order', { materialIds: ['\u{1F600}', '\uFF5E'] }, /code-point order/],
    ['an id twice', { materialIds: ['a', 'a'] }, /distinct/],
    ['offsets that do not end at the atoms', { offsets: Int32Array.of(0, 2, 4) }, /3 rising from 0 to 3/],
    ['a structure without atoms', { offsets: Int32Array.of(0, 3, 3) }, /'b' has 0 rows/],
    ['vectors of another length', { vectors: new Float32Array(5) }, /has 5 values; 3 rows of 2 are 6/],
    ['NaN', { vectors: Float32Array.of(0, 0, 0, NaN, 0, 0) }, /embedding is NaN at row 1, component 1/],
    ['infinity', { vectors: Float32Array.of(0, 0, 0, 0, 0, -Infinity) }, /-Infinity at row 2/],
    ['no dimension', { dim: 0 }, /dimension 0/],
  ])('refuse %s', (_, change, message) => {
    expect(() => encodeEmbeddings({ ...sound, ...change })).toThrow(message);
  });

  test('anchor and structure vectors come back', () => {
    const vectors = Float32Array.from({ length: 12 }, (_, i) => EDGES[i % EDGES.length]);
    const anchors = decodeAnchorVectors(encodeAnchorVectors({ vectors, dim: 4 }, { basis: 'b' }));
    expect(anchors).toEqual({ vectors, dim: 4, metadata: { basis: 'b' } });
    const rows = { materialIds: ['x', 'y', 'z'], atomCounts: Int32Array.of(1, 2, 3), means: vectors, dim: 4 };
    expect(decodeStructureVectors(encodeStructureVectors(rows))).toEqual({ ...rows, metadata: {} });
    expect(() => encodeStructureVectors({ ...rows, atomCounts: Int32Array.of(1) })).toThrow(/3 ids and 1 atom counts/);
    expect(() => encodeAnchorVectors({ vectors, dim: 5 })).toThrow(/12 values/);
  });

  test('a thousand shards leave the WASM memory where it was', () => {
    const rows = {
      materialIds: Array.from({ length: 100 }, (_, i) => `mp-${String(i).padStart(4, '0')}`),
      offsets: offsetsOfCounts(new Int32Array(100).fill(3)),
      atomicNumbers: new Uint8Array(300).fill(8),
      vectors: Float32Array.from({ length: 9600 }, (_, i) => Math.sin(i)),
      dim: 32,
    };
    const held = () => (wasmMemory() as { buffer: ArrayBuffer }).buffer.byteLength;
    for (let i = 0; i < 20; i++) decodeEmbeddings(encodeEmbeddings(rows));
    const before = held();
    for (let i = 0; i < 1000; i++) decodeEmbeddings(encodeEmbeddings(rows));
    expect(held()).toBe(before); // one leaked shard is 40 kB: a thousand would be 40 MB
  });
});

const structureRow = fc
  .record({
    id: fc.string({ minLength: 1, maxLength: 8 }),
    n: fc.integer({ min: 1, max: 6 }),
    number: fc.double({ noNaN: true, noDefaultInfinity: true }),
  })
  .map(({ id, n, number }): StructureRow => ({
    materialId: id,
    structureHash: sha256Hex(id),
    formula: 'Fe2O3',
    atomicNumbers: Uint8Array.from({ length: n }, (_, i) => 1 + i),
    lattice: new Float64Array(9).fill(number),
    fractionalCoordinates: new Float64Array(3 * n).fill(number / 3),
    spaceGroup: 227,
    orbits: Int32Array.from({ length: n }, () => 0),
    source: `ζ.csv:${id}`,
  }));

describe('table structures', () => {
  test('keeps every float64 bit for bit', () => {
    const rows = fc.uniqueArray(structureRow, { selector: (row) => row.materialId, maxLength: 6 });
    fc.assert(
      fc.property(rows, (unsorted) => {
        const sorted = unsorted.sort((a, b) => compareCodePoints(a.materialId, b.materialId));
        const back = decodeStructures(encodeStructures(sorted));
        expect(back).toEqual(sorted);
        back.forEach((row, i) => expect(bitsOf(row.lattice)).toBe(bitsOf(sorted[i].lattice)));
      }),
      { numRuns: 60 },
    );
  });

  test('refuses rows that are no structures', () => {
    const [row] = fc.sample(structureRow, { numRuns: 1, seed: 1 });
    const encode = (change: Partial<StructureRow>) => () => encodeStructures([{ ...row, ...change }]);
    expect(encode({ lattice: new Float64Array(8) })).toThrow(/lattice of .* has 8 values/);
    expect(encode({ orbits: new Int32Array(99) })).toThrow(/orbits of .* has 99 values/);
    expect(encode({ lattice: new Float64Array(9).fill(NaN) })).toThrow(/lattice of .* holds NaN/);
    expect(encode({ atomicNumbers: new Uint8Array(0) })).toThrow(/has no atoms/);
    expect(() => encodeStructures([row, row])).toThrow(/distinct/);
  });
});

describe('row-shaped tables', () => {
  const transport = {
    draw: 0,
    source_material_id: 'mp-1',
    source_atom_index: 0,
    target_material_id: 'é\u{1F600}',
    target_atom_index: 2147483647,
    mass: 1 / 3,
    cost: 5e-324,
  };

  test('come back with nulls, unicode and exact doubles', async () => {
    expect((await transportTable.decode(await transportTable.encode([transport]))).rows).toEqual([transport]);
    const similarity = {
      ...{ model_a: 'a', model_b: 'b', space: 'coordinates', metric: 'linear_cka', stratum: 'all', value: 0.1 + 0.2 },
      ...{ low: null, high: 1e300, n: 4000, draws: 5, seed: Number.MAX_SAFE_INTEGER, k: 10 },
      ...{
        null: 'free',
        null_mean: null,
        null_threshold: null,
        calibrated: 0,
        calibrated_low: 0,
        calibrated_high: 0.5,
      },
      ...{ p_value: null, permutations: 200, hubness_a: -0.25, hubness_b: null },
    };
    const bytes = await similarityTable.encode([similarity, { ...similarity, k: null }], { params: 'x' });
    const back = await similarityTable.decode(bytes);
    expect(back).toEqual({ rows: [similarity, { ...similarity, k: null }], metadata: { params: 'x' } });
  });

  test('keep any doubles, and hold no rows as well as more than two row groups', async () => {
    expect((await transportTable.decode(await transportTable.encode([]))).rows).toEqual([]);
    const rows = fc
      .sample(fc.double({ noNaN: true, noDefaultInfinity: true }), { numRuns: 45_000, seed: 7 })
      .map((mass, i) => ({ ...transport, draw: i, mass: mass + 0, source_material_id: `mp-${i % 977}` }));
    const back = (await transportTable.decode(await transportTable.encode(rows))).rows;
    expect(back).toHaveLength(rows.length);
    expect(back.findIndex((row, i) => row.mass !== rows[i].mass || row.draw !== i)).toBe(-1);
    expect(back[44_999]).toEqual(rows[44_999]);
  });

  test.each([
    ['NaN', { mass: NaN }, /transport\.mass is NaN in row 1; it must be a finite number$/],
    ['undefined', { draw: undefined }, /transport\.draw is undefined in row 1/],
    ['null where it is not allowed', { cost: null }, /transport\.cost is null in row 1/],
    ['a fraction for an integer', { source_atom_index: 0.5 }, /must be a 32-bit integer/],
    ['an integer out of range', { source_atom_index: 2 ** 31 }, /2147483648/],
    ['a number for a string', { source_material_id: 7 }, /must be a string/],
  ])('refuse %s, naming table, column and row', async (_, change, message) => {
    const rows = [transport, { ...transport, ...change } as typeof transport];
    await expect(transportTable.encode(rows)).rejects.toThrow(message);
  });

  test('say what is nullable', async () => {
    const row = { material_id: 'x', source: 's', stage: 'embed', model: null, code: 'c', message: 'm' };
    await quarantineTable.encode([row]);
    const wrong = { ...row, model: 3 } as unknown as typeof row;
    await expect(quarantineTable.encode([wrong])).rejects.toThrow(/must be a string or null/);
  });
});

describe('a damaged file', () => {
  test('is reported as such by every reader', async () => {
    const rows = {
      materialIds: ['a'],
      offsets: Int32Array.of(0, 1),
      atomicNumbers: [1],
      vectors: new Float32Array(4),
      dim: 4,
    };
    const bytes = encodeEmbeddings({ ...rows, atomicNumbers: Uint8Array.of(1) });
    expect(() => decodeEmbeddings(bytes.subarray(0, -10))).toThrow(TableCorrupt);
    expect(() => decodeEmbeddings(new Uint8Array(0))).toThrow(TableCorrupt);
    expect(() => decodeCoordinates(bytes)).toThrow(/column 'coordinates' is missing; it has material_id, .*embedding/);
    expect(() => decodeStructures(bytes)).toThrow(/'structures' table/);
    const anchors = await anchorsTable.encode([{ anchor: 0, material_id: 'a', atom_index: 0, atomic_number: 1 }]);
    await expect(transportTable.decode(anchors)).rejects.toThrow(/column 'draw' is missing; it has anchor/);
    await expect(anchorsTable.decode(anchors.subarray(0, 40))).rejects.toThrow(TableCorrupt);
    await expect(anchorsTable.decode(bytes)).rejects.toThrow(/column 'anchor' is missing/);
    expect(decodeEmbeddings(bytes).dim).toBe(4); // the WASM instance is sound after a failure
  });

  test('with rows out of order is none of ours', () => {
    const anchorVectors = encodeAnchorVectors({ vectors: new Float32Array(4), dim: 2 });
    expect(() => decodeStructureVectors(anchorVectors)).toThrow(TableCorrupt);
  });
});

test('equal rows have equal bytes, also in another process', async () => {
  const source = `
    import { encodeEmbeddings } from ${JSON.stringify(compiledEntry('../../datasets/tables/embeddings.js', import.meta.url).href)};
    import { anchorsTable } from ${JSON.stringify(compiledEntry('../../datasets/tables/anchors.js', import.meta.url).href)};
    import { createHash } from 'node:crypto';
    const metadata = Object.fromEntries(['z', 'model', 'a', 'dim', 'q', 'snapshot'].map((name) => [name, name]));
    const rows = { materialIds: ['a', 'b'], offsets: Int32Array.of(0, 2, 3), atomicNumbers: Uint8Array.of(1, 2, 3),
      vectors: new Float32Array(6).fill(0.25), dim: 2 };
    const anchors = [{ anchor: 0, material_id: 'a', atom_index: 0, atomic_number: 1 }];
    for (let i = 0; i < 3; i++) {
      for (const bytes of [encodeEmbeddings(rows, metadata), await anchorsTable.encode(anchors, metadata)])
        console.log(createHash('sha256').update(bytes).digest('hex'));
    }`;
  const run = () => execFileSync(process.execPath, ['--input-type=module', '-e', source]).toString().trim().split('\n');
  const [first, second] = [run(), run()];
  expect(new Set(first).size).toBe(2);
  expect(second).toEqual(first);
});

test('every table of the public contract has its columns', () => {
  // The columns that readers were promised, in order; more may follow.
  const contract: Record<string, string> = {
    structures:
      'material_id structure_hash formula n_atoms atomic_numbers lattice fractional_coordinates space_group orbits source',
    embeddings: 'material_id atom_index atomic_number embedding',
    anchors: 'anchor material_id atom_index atomic_number',
    anchor_vectors: 'anchor vector',
    coordinates: 'material_id atom_index atomic_number coordinates',
    structure_vectors: 'material_id n_atoms mean',
    similarity: 'model_a model_b space metric stratum value low high n draws seed null null_mean calibrated p_value',
    similarity_rows: 'draw material_id atom_index',
    transport: 'draw source_material_id source_atom_index target_material_id target_atom_index mass cost',
    transport_barycentric: 'draw material_id atom_index image residual',
    transport_summary:
      'model_a model_b draw design solver n m cost dual gap paired_cost random_cost alignment_ratio identity_mass element_match_mass dropped_mass seed',
    element_transport: 'model_a model_b source_element target_element mass',
    quarantine: 'material_id source stage model code message',
  };
  for (const [table, columns] of Object.entries(contract)) {
    expect(Object.keys(TABLE_SCHEMAS[table].columns)).toEqual(expect.arrayContaining(columns.split(' ')));
  }
  for (const { columns, partitions } of Object.values(TABLE_SCHEMAS)) {
    for (const partition of partitions) expect(columns).not.toHaveProperty(partition);
  }
  const vectors = [
    'structures',
    'embeddings',
    'anchor_vectors',
    'coordinates',
    'structure_vectors',
    'transport_barycentric',
  ];
  const tables = Object.keys(TABLE_SCHEMAS).filter((table) => !vectors.includes(table));
  expect(Object.keys(ROW_TABLES).sort()).toEqual(tables.sort());
});

import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { croissant, datasetCard } from '../../datasets/card.js';
import * as keys from '../../datasets/keys.js';
import { openStore } from '../../datasets/store/open.js';
import { encodeCoordinates } from '../../datasets/tables/coordinates.js';
import { encodeEmbeddings } from '../../datasets/tables/embeddings.js';
import { encodeStructures } from '../../datasets/tables/structures.js';
import { referencePython } from '../support/python.js';
import { PINNED, SNAPSHOT, sampleCard, writeSample } from './sampleDataset.js';

/** Bit patterns that a careless path through float64, text or parseFloat would change. */
const EDGES = Float32Array.of(
  0,
  -0,
  1e-45,
  -1e-45,
  1.1754942e-38,
  3.4028235e38,
  -3.4028235e38,
  1 / 3,
  0.1,
  -2.5,
  7,
  1e-30,
);
const hex = (array: Float32Array | Float64Array) => Buffer.from(array.buffer).toString('hex');

let root: string;
let digest: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'koine-foreign-'));
  ({ digest } = await writeSample(openStore(root)));
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** Runs Python in the dataset's folder; what the program stores in `result` comes back. */
async function python<T>(program: string, cwd = root): Promise<T> {
  const source = `${program}\nimport json, sys\njson.dump(result, sys.stdout)\n`;
  const { stdout } = await promisify(execFile)(referencePython(), ['-c', source], { cwd });
  return JSON.parse(stdout) as T;
}

describe('pyarrow, polars, pandas and DuckDB open in one line', () => {
  const rows = {
    materialIds: ['mp-1', 'mp-10', 'é-\u{1F600}'],
    offsets: Int32Array.of(0, 1, 2, 3),
    atomicNumbers: Uint8Array.of(1, 8, 118),
    vectors: EDGES,
    dim: 4,
  };
  interface Reading {
    bits: string;
    ids: string[];
    index: number[];
    numbers: number[];
    type: string;
  }
  /** Every reader's view of `file`, column `column`. */
  const readers = (file: string, column: string) => `
import pyarrow.parquet as pq, polars as pl, pandas as pd, duckdb, numpy as np
a = pq.read_table('${file}')
p = pl.read_parquet('${file}')
d = pd.read_parquet('${file}')
q = duckdb.sql("FROM '${file}'")
def reading(matrix, ids, index, numbers, kind):
    matrix = np.ascontiguousarray(matrix)
    assert matrix.dtype == np.float32 and matrix.shape == (3, 4), (matrix.dtype, matrix.shape)
    return dict(bits=matrix.tobytes().hex(), ids=[str(x) for x in ids], index=[int(x) for x in index], numbers=[int(x) for x in numbers], type=kind)
rows = q.fetchall()
result = dict(
    pyarrow=reading(a['${column}'].combine_chunks().flatten().to_numpy().reshape(3, -1), a['material_id'].to_pylist(), a['atom_index'].to_pylist(), a['atomic_number'].to_pylist(), str(a.schema.field('${column}').type)),
    polars=reading(p['${column}'].to_numpy(), p['material_id'], p['atom_index'], p['atomic_number'], str(p.schema['${column}'])),
    pandas=reading(np.stack(d['${column}']), d.material_id, d.atom_index, d.atomic_number, str(d['${column}'][0].dtype)),
    duckdb=reading(np.array([r[3] for r in rows], dtype=np.float32), [r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows], str(q.types[3])))
`;

  test.each([
    ['embeddings', 'embedding', encodeEmbeddings],
    ['coordinates', 'coordinates', encodeCoordinates],
  ] as const)(
    '%s: float32 bit for bit, ids equal, fixed-size lists where they have them',
    async (table, column, encode) => {
      const file = join(root, `${table}-edges.parquet`);
      await writeFile(file, encode(rows, { model: 'm' }));
      const readings = await python<Record<string, Reading>>(readers(file, column));
      const types: Record<string, RegExp> = {
        pyarrow: /^fixed_size_list<element: float not null>\[4\]$/,
        polars: /^Array\(Float32, shape=\(4,\)\)$/,
        pandas: /^float32$/,
        duckdb: /^FLOAT\[\]$/,
      };
      expect(Object.keys(readings).sort()).toEqual(Object.keys(types).sort());
      for (const [reader, reading] of Object.entries(readings)) {
        expect({ reader, ...reading, type: '' }).toEqual({
          reader,
          bits: hex(EDGES),
          ids: rows.materialIds,
          index: [0, 0, 0],
          numbers: [1, 8, 118],
          type: '',
        });
        expect(reading.type).toMatch(types[reader]);
      }
    },
  );

  test('structures: float64 bit for bit, lists of the right length', async () => {
    const lattice = Float64Array.of(5e-324, -0, 0.1 + 0.2, 1e300, 1 / 3, 2, 3, 4, 5);
    const fractional = Float64Array.of(0.1, 0.2, 0.3, 1 - 2 ** -53, 0, 1e-17);
    const file = join(root, 'structures-edges.parquet');
    const row = { materialId: 'mp-1', structureHash: 'h', formula: 'HO', atomicNumbers: Uint8Array.of(1, 8) };
    await writeFile(
      file,
      encodeStructures([
        { ...row, lattice, fractionalCoordinates: fractional, spaceGroup: 1, orbits: Int32Array.of(0, 1), source: 's' },
      ]),
    );
    const readings = await python<Record<string, [string, string, number[], number[], string]>>(`
import pyarrow.parquet as pq, polars as pl, pandas as pd, duckdb, numpy as np
bits = lambda x: np.asarray(x, dtype=np.float64).tobytes().hex()
def reading(r):
    return [bits(r['lattice']), bits(r['fractional_coordinates']), [int(z) for z in r['atomic_numbers']], [int(o) for o in r['orbits']], r['material_id']]
result = dict(
    pyarrow=reading(pq.read_table('${file}').to_pylist()[0]), polars=reading(pl.read_parquet('${file}').row(0, named=True)),
    pandas=reading(pd.read_parquet('${file}').iloc[0]), duckdb=reading(duckdb.sql("FROM '${file}'").df().iloc[0]))
assert str(pq.read_schema('${file}').field('lattice').type) == 'fixed_size_list<element: double not null>[9]'
assert pq.read_metadata('${file}').metadata[b'koine'] == b'{}'
`);
    expect(Object.keys(readings)).toHaveLength(4);
    for (const reading of Object.values(readings)) {
      expect(reading).toEqual([hex(lattice), hex(fractional), [1, 8], [0, 1], 'mp-1']);
    }
  });
});

test('whole published tables read by glob, with snapshot and model from the folders', async () => {
  const glob = 'embeddings/snapshot=*/model=*/*.parquet';
  const counts = await python<Record<string, Record<string, number>>>(`
import pyarrow.dataset as ds, polars as pl, pandas as pd, duckdb
arrow = ds.dataset('embeddings', partitioning='hive').to_table().to_pandas()
lazy = pl.scan_parquet('${glob}', hive_partitioning=True).collect()
table = duckdb.sql("SELECT model, count(*) AS n FROM read_parquet('${glob}', hive_partitioning = true) GROUP BY model").fetchall()
result = dict(
    pyarrow=arrow.groupby('model', observed=True).size().to_dict(),
    polars=dict(lazy.group_by('model').len().rows()),
    pandas=pd.read_parquet('embeddings').groupby('model', observed=True).size().to_dict(),
    duckdb=dict(table))
assert set(arrow['snapshot']) == {'${keys.shortId(SNAPSHOT)}'}
`);
  for (const reader of ['pyarrow', 'polars', 'pandas', 'duckdb']) {
    expect(counts[reader]).toEqual({ 'model-a': 11, 'model-b': 11 });
  }
});

test('every row-shaped table reads, and pairs carry their models', async () => {
  const tables = ['similarity', 'transport_summary', 'element_transport', 'similarity_rows', 'transport', 'quarantine'];
  const found = await python<Record<string, [number, number, number]>>(`
import glob, pyarrow.parquet as pq, polars as pl, duckdb
result = {}
for t in ${JSON.stringify(tables)}:
    files = glob.glob(t + '/**/*.parquet', recursive=True)
    result[t] = [sum(pq.ParquetFile(f).read().num_rows for f in files), pl.scan_parquet(files).collect().height,
                 duckdb.sql(f"SELECT count(*) FROM read_parquet('{t}/**/*.parquet')").fetchall()[0][0]]
pairs = duckdb.sql("SELECT DISTINCT model_a, model_b FROM read_parquet('transport/**/*.parquet', hive_partitioning = true)").fetchall()
assert pairs == [('model-a', 'model-b')], pairs
assert pl.read_parquet('similarity/**/*.parquet').row(0, named=True)['low'] is None
`);
  const rows = {
    similarity: 1,
    transport_summary: 1,
    element_transport: 1,
    similarity_rows: 2,
    transport: 2,
    quarantine: 1,
  };
  for (const [table, n] of Object.entries(rows)) expect(found[table]).toEqual([n, n, n]);
});

test('embeddings join with structures by id', async () => {
  const joined = await python<number>(`
import duckdb
result = duckdb.sql("""SELECT count(*) FROM read_parquet('${keys.embeddingsLeaf(SNAPSHOT, 'model-a')}*.parquet') e
    JOIN read_parquet('${keys.structuresLeaf(SNAPSHOT)}*.parquet') s USING (material_id)
    WHERE s.atomic_numbers[e.atom_index + 1] = e.atomic_number""").fetchall()[0][0]
`);
  expect(joined).toBe(11);
});

describe('the dataset card', () => {
  const readme = () => datasetCard(sampleCard(digest));
  const snippets = () =>
    [...readme().matchAll(/^(\w+):\n\n```python\n([^`]+)```/gm)].map(([, title, code]) => [title, code]);

  test('has code for four libraries that loads the coordinates as it stands', async () => {
    const shapes = await python<Record<string, [number, number]>>(`
result = {}
for title, code in ${JSON.stringify(snippets())}:
    names = {}
    exec(code, names)
    result[title] = [len(names["df"]), len(names["df"]["coordinates"][0])]
`);
    const loaded = [11, PINNED.anchors];
    expect(shapes).toEqual({ pandas: loaded, polars: loaded, DuckDB: loaded, pyarrow: loaded });
  });

  test('states models, licences, gaps and digests, and its front matter names files that exist', async () => {
    const text = readme();
    expect(text).toContain('| `model-b` | MIT | 5 | 5 | 11 | 2 |');
    expect(text).toContain('| `model-b` | unsupported_element | 2 |');
    expect(text).toContain('| (unreadable or unsound) | empty | 1 |');
    expect(text).toContain(digest);
    expect(readme()).toBe(text);
    const matches = await python<number[]>(
      `
import glob, re
result = [len(glob.glob(pattern)) for pattern in re.findall(r'data_files: (\\S+)', open('README.md').read())]
`,
      await written(text),
    );
    expect(matches).toEqual([2, 2, 2, 2]);
  });

  test('has a Croissant description whose files and columns are those of the dataset', async () => {
    await openStore(root).put(keys.CROISSANT, croissant(sampleCard(digest)));
    const missing = await python<string[]>(`
import json, glob, hashlib, pyarrow.parquet as pq
c = json.load(open('croissant.json')); result = []
files = {f['@id']: glob.glob(f['includes'], recursive=True) for f in c['distribution'] if f['@type'] == 'cr:FileSet'}
for f in c['distribution']:
    if f['@type'] == 'cr:FileObject' and hashlib.sha256(open(f['contentUrl'], 'rb').read()).hexdigest() != f['sha256']: result.append(f['@id'])
for r in c['recordSet']:
    for field in r['field']:
        found = files[field['source']['fileSet']['@id']]
        if not found or any(field['source']['extract']['column'] not in pq.read_schema(x).names for x in found): result.append(field['@id'])
assert len(c['recordSet']) == 5
`);
    expect(missing).toEqual([]);
  });

  async function written(text: string): Promise<string> {
    await openStore(root).put(keys.CARD, Buffer.from(text));
    return root;
  }
});

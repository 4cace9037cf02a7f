import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { InvalidSpec, loadRunSpec, parseRunSpec, runSpecJsonSchema } from '../../config/runSpec.js';

const minimal = {
  name: 'test',
  source: [{ path: 'crystals/' }],
  models: ['a-1', 'b-2'],
  model_store: ['./models'],
  output: './out',
};

/** Diagnostics that judge scores by a label, with other fields of theirs. */
const judging = (judge: object[], { atypical, stitching }: { atypical?: object; stitching?: object } = {}) => ({
  diagnostics: {
    atypical: { ...atypical, judge },
    stitching: stitching ?? { labels: [{ name: 'dft', path: 'dft.csv', column: 'energy' }] },
  },
});

describe('parseRunSpec', () => {
  test('fills in every default', () => {
    const spec = parseRunSpec(minimal, 'spec.yaml');
    expect(spec).toMatchObject({
      basis: { method: 'direct', anchors: 100, center: 'cluster-centroid', seed: 42, refit: false },
      coordinates: { centre: 'none' },
      similarity: { sample: 4000, draws: 5, neighbours: 10, seed: 42 },
      transport: { sample: 2000, draws: 3, seed: 42, solver: 'exact' },
      shards: { structures: 256 },
      inference: { provider: 'cpu', window: 16 },
      limits: { quarantine_fraction: 0.05, max_atoms: 1000 },
    });
  });

  const wrong: [what: string, change: object, field: string, value: string, remedy: string][] = [
    ['a missing field', { name: undefined }, 'name', 'missing', 'string'],
    ['an unknown field', { modles: ['x'] }, 'modles', 'unknown field', "did you mean 'models'?"],
    ['an unknown nested field', { basis: { anchor: 3 } }, 'basis.anchor', 'unknown field', "did you mean 'anchors'?"],
    ['an unknown field of a source', { source: [{ path: 'x', glob: '*' }] }, 'source[0].glob', 'unknown', 'path'],
    ['a name that is no folder name', { name: '../x' }, 'name', '"../x"', 'letters, digits'],
    ['no sources', { source: [] }, 'source', '[]', '>=1'],
    ['no models', { models: [] }, 'models', '[]', '>=1'],
    ['a model named twice', { models: ['a', 'a'] }, 'models', '["a","a"]', 'must not name a model twice'],
    ['a source without a path', { source: [{}] }, 'source[0].path', 'missing', 'string'],
    ['a method that does not exist', { basis: { method: 'pca' } }, 'basis.method', '"pca"', '"direct"'],
    ['too few anchors', { basis: { anchors: 0 } }, 'basis.anchors', '0', ''],
    [
      'a reference model outside the run',
      { basis: { reference_model: 'c-3' } },
      'basis.reference_model',
      '"c-3"',
      'a-1, b-2',
    ],
    ['a lineage of another run', { lineages: { a: ['c-3'] } }, 'lineages.a', '["c-3"]', 'a-1, b-2'],
    [
      'a model of two lineages',
      { lineages: { a: ['a-1'], b: ['b-2', 'a-1'] } },
      'lineages.b',
      '["b-2","a-1"]',
      "'a-1' is in lineage 'a' already",
    ],
    [
      'explicit anchors that are a number',
      { basis: { method: 'explicit', anchors: 10 } },
      'basis.anchors',
      '10',
      '<material_id>:<atom_index>',
    ],
    [
      'listed anchors for another method',
      { basis: { method: 'direct', anchors: ['mp-1:0'] } },
      'basis.anchors',
      'mp-1:0',
      'must be a number for method direct',
    ],
    [
      'an anchor named twice',
      { basis: { method: 'explicit', anchors: ['mp-1:0', 'mp-1:0'] } },
      'basis.anchors',
      'mp-1:0',
      'must not name an anchor twice',
    ],
    [
      'sources of anchors that another run chose',
      { basis: { from: 'other', sources: ['mp20'] } },
      'basis.sources',
      '["mp20"]',
      'basis.from leaves nothing to choose',
    ],
    ['a word for a number', { similarity: { draws: 'five' } }, 'similarity.draws', '"five"', 'number'],
    ['a fraction of a draw', { similarity: { draws: 2.5 } }, 'similarity.draws', '2.5', 'int'],
    ['a sample too small', { similarity: { sample: 5 } }, 'similarity.sample', '5', '>=20'],
    [
      'more neighbours than rows',
      { similarity: { neighbours: 30, sample: 30 } },
      'similarity.neighbours',
      '30',
      'must be smaller than similarity.sample (30)',
    ],
    ['a negative seed', { transport: { seed: -1 } }, 'transport.seed', '-1', '>=0'],
    ['a solver that does not exist', { transport: { solver: 'lp' } }, 'transport.solver', '"lp"', '"exact"'],
    ['a share above one', { limits: { quarantine_fraction: 5 } }, 'limits.quarantine_fraction', '5', '<=1'],
    ['an unknown provider', { inference: { provider: 'tpu' } }, 'inference.provider', '"tpu"', '"cpu"'],
    ['a window too large', { inference: { window: 501 } }, 'inference.window', '501', '<=500'],
    [
      'a label to judge by that is not named',
      judging([{ label: 'dft', models: ['a-1'] }], { stitching: {} }),
      'diagnostics.atypical.judge[0].label',
      '"dft"',
      'must be the name of one of diagnostics.stitching.labels (none yet)',
    ],
    [
      'a judged model outside the run',
      judging([{ label: 'dft', models: ['a-1', 'c-3'] }]),
      'diagnostics.atypical.judge[0].models[1]',
      '"c-3"',
      "must be one of the run's models (a-1, b-2)",
    ],
    [
      'a model judged twice by a label',
      judging([{ label: 'dft', models: ['a-1', 'a-1'] }]),
      'diagnostics.atypical.judge[0].models',
      '["a-1","a-1"]',
      'must not name a model twice',
    ],
    [
      'a label to judge by in two entries',
      judging([
        { label: 'dft', models: ['a-1'] },
        { label: 'dft', models: ['b-2'] },
      ]),
      'diagnostics.atypical.judge[1].label',
      '"dft"',
      'list all its models in one entry',
    ],
    [
      'scores that are judged and switched off',
      judging([{ label: 'dft', models: ['a-1'] }], { atypical: { enabled: false } }),
      'diagnostics.atypical.judge[0]',
      '"dft"',
      'remove one',
    ],
    ['half a batch budget', { inference: { batch: { atoms: 10 } } }, 'inference.batch.edges', 'missing', 'number'],
  ];
  test.each(wrong)('%s is refused with field, value and remedy', (_, change, field, value, remedy) => {
    const message = messageOf(() => parseRunSpec({ ...minimal, ...change }, 'my-spec.yaml'));
    expect(message).toContain('my-spec.yaml: ');
    expect(message).toContain(`${field}: `);
    expect(message).toContain(value);
    expect(message).toContain(remedy);
  });

  test('all problems are told at once, one a line', () => {
    const message = messageOf(() => parseRunSpec({ ...minimal, models: [], output: 3, extra: 1 }, 'spec.yaml'));
    expect(message.split('\n').slice(1)).toHaveLength(3);
  });

  test.each([null, 'text', 7, []])('%j is refused as a spec', (document) => {
    expect(() => parseRunSpec(document, 'spec.yaml')).toThrow(InvalidSpec);
  });

  test('whatever is parsed, the answer is a spec or InvalidSpec', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (document) => {
        try {
          parseRunSpec(document, 'spec.yaml');
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidSpec);
        }
      }),
    );
  });

  test('a spec with its defaults parses to itself', () => {
    const spec = parseRunSpec(minimal, 'spec.yaml');
    expect(parseRunSpec(spec, 'again')).toEqual(spec);
  });
});

describe('loadRunSpec', () => {
  let folder: string;
  beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'koine-spec-'))));
  afterAll(() => rmSync(folder, { recursive: true }));
  const write = (name: string, text: string) => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  };

  test('local paths count from the folder of the spec, URLs stay as they are', async () => {
    const spec = await loadRunSpec(
      write(
        'paths.yaml',
        'name: x\nsource: [{path: a/*.cif}, {path: "https://example.org/optimade"}]\nmodels: [m]\n' +
          'model_store: [../models, "s3://bucket/models"]\noutput: /absolute/out\n' +
          'similarity: {rows: rows.txt}\n' +
          'diagnostics: {stitching: {labels: [{name: dft, path: dft/*.csv, column: energy}]}}\n',
      ),
    );
    expect(spec.source).toEqual([{ path: join(folder, 'a/*.cif') }, { path: 'https://example.org/optimade' }]);
    expect(spec.model_store).toEqual([join(folder, '../models'), 's3://bucket/models']);
    expect(spec.output).toBe('/absolute/out');
    expect(spec.similarity.rows).toBe(join(folder, 'rows.txt'));
    expect(spec.diagnostics.stitching.labels.map(({ path }) => path)).toEqual([join(folder, 'dft/*.csv')]);
  });

  test('bundled crystals are no path, and a spec without stores leaves them to the machine that runs it', async () => {
    const spec = await loadRunSpec(
      write('bundled.yaml', 'name: x\nsource: [{path: "bundled:crystals"}]\nmodels: [m]\noutput: /out\n'),
    );
    expect(spec.source).toEqual([{ path: 'bundled:crystals' }]);
    expect('model_store' in spec).toBe(false);
  });

  test('JSON is read too', async () => {
    const spec = await loadRunSpec(write('spec.json', JSON.stringify(minimal)));
    expect(spec.name).toBe('test');
  });

  test('a file that is not there is named', async () => {
    await expect(loadRunSpec(join(folder, 'none.yaml'))).rejects.toThrow(/none\.yaml: cannot be read .*ENOENT/);
  });

  test('text that is no YAML is refused with the place of the fault', async () => {
    const path = write('broken.yaml', 'name: "x\nsource: [');
    await expect(loadRunSpec(path)).rejects.toThrow(InvalidSpec);
    await expect(loadRunSpec(path)).rejects.toThrow(/broken\.yaml: is not YAML: .*line \d/s);
  });

  test.each(['real-crystals.yaml', 'dev-set.yaml'])('examples/%s is a valid spec', async (name) => {
    const spec = await loadRunSpec(fileURLToPath(new URL(`../../examples/${name}`, import.meta.url)));
    expect(spec.models.length).toBeGreaterThanOrEqual(3);
    expect(spec.output).toBe(fileURLToPath(new URL(`../../out/${spec.name}`, import.meta.url)));
  });
});

test('the JSON Schema asks for what the parser asks for and describes every field', () => {
  const schema = runSpecJsonSchema() as { required: string[]; properties: Record<string, object> };
  expect(schema.required.sort()).toEqual(['models', 'name', 'output', 'source']);
  expect(Object.keys(schema.properties)).toEqual(Object.keys(parseRunSpec(minimal, 'spec')));
});

function messageOf(parse: () => unknown): string {
  try {
    parse();
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidSpec);
    return (error as Error).message;
  }
  throw new Error('the spec was accepted');
}

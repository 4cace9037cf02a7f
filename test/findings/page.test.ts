import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { cp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { StructureRow } from '../../datasets/tables/structures.js';
import { referencePython } from '../support/python.js';
import {
  MODELS,
  pairsOf,
  publishRun,
  RUNS,
  type GivenRow,
  type GivenTables,
  type SummaryModel,
} from './publishedRuns.js';

const findings = fileURLToPath(new URL('../../findings', import.meta.url));
const pages = fileURLToPath(new URL('./pages.py', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'koine-findings-'));
afterAll(() => rm(folder, { recursive: true, force: true }));

const [CHGNET, TUNED, SEVENNET, NEQUIX, TENSORNET] = MODELS.map(({ id }) => id);
const NULLS = ['none', 'free', 'within_element'];
const METRICS = ['mutual_knn_euclidean', 'mutual_knn_cosine', 'mutual_knn_inner'];

/** Calibrated score of a pair of models: another for every pair, larger between potentials than with controls. */
function scoreOf(a: SummaryModel, b: SummaryModel): number {
  const [i, j] = [MODELS.findIndex(({ id }) => id === a.id), MODELS.findIndex(({ id }) => id === b.id)];
  const control = b.control ?? a.control;
  if (control === null) return 0.3 + 0.01 * (i + 1) + 0.02 * (j + 1) ** 2;
  return control === 'one-hot' ? 0 : 0.01 + 0.004 * i + 0.001 * j;
}

interface Change {
  models?: SummaryModel[];
  score?: (a: SummaryModel, b: SummaryModel, run: string) => number;
  /** Of the rows of a table of a run. */
  rows?: (table: string, rows: GivenRow[], run: string) => GivenRow[];
  /** All by default. */
  runs?: string[];
  /** When the summary says that the runs ended. */
  ended?: string;
}

function similarityRows(run: string, models: SummaryModel[], score: NonNullable<Change['score']>): GivenRow[] {
  return pairsOf(models).flatMap(([a, b]) =>
    METRICS.flatMap((metric) =>
      ['coordinates', 'embeddings'].flatMap((space) =>
        NULLS.map((kind): GivenRow => {
          const value = score(a, b, run) * (space === 'embeddings' ? 1.5 : 1);
          const calibrated = kind === 'none' ? null : value;
          return {
            ...{ model_a: a.id, model_b: b.id, space, metric, stratum: 'all', null: kind, value, n: 400, draws: 1 },
            ...{ low: value - 0.03, high: value + 0.04, hubness_a: 1, hubness_b: 3 },
            ...{ calibrated, calibrated_low: calibrated && value - 0.01, calibrated_high: calibrated && value + 0.02 },
            p_value: kind === 'none' ? null : (a.control ?? b.control) ? 0.4 : 0.01,
          };
        }),
      ),
    ),
  );
}

/** What the page needs besides similarity. */
function otherTables(models: SummaryModel[]): GivenTables {
  const pairs = pairsOf(models);
  const own = models.flatMap(({ id }, at): GivenRow[] =>
    [
      { space: 'coordinates', predictor: 'offset', value: 0.2 + 0.01 * at },
      { space: 'embeddings', predictor: 'offset', value: 0.25 + 0.01 * at },
      { space: 'coordinates', predictor: 'no_change', value: 0.05 },
      { space: 'composition', predictor: 'one_hot', value: 0.9 },
    ].map((row) => ({
      ...row,
      model_a: id,
      model_b: id,
      metric: 'mrr',
      low: row.value - 0.04,
      high: row.value + 0.03,
      pairs: 1234,
      prototypes: 56,
    })),
  );
  return {
    quarantine: [],
    arithmetic: own,
    transport_summary: pairs.flatMap(([a, b], at): GivenRow[] =>
      ['same', 'disjoint'].map((design) => ({
        ...{ model_a: a.id, model_b: b.id, design, space: 'coordinates', solver: 'exact', cost: 2, gap: 4e-13 },
        ...{ identity_mass: 0.01 * (at + 1), identity_chance: 0.001, alignment_ratio: 0.5 + 0.01 * at },
        ...{ element_match_mass: 0.3, element_match_floor: 0.2, element_match_ceiling: 0.7 },
      })),
    ),
    stitching: pairs.flatMap(([a, b], at): GivenRow[] =>
      [
        [a, b],
        [b, a],
      ].map(([from, to]) => ({
        ...{ model_a: from.id, model_b: to.id, method: 'relative', head: 'ridge', target: 'formation_energy' },
        ...{
          error: 0.5 + 0.01 * at,
          gap: 0.4,
          native_error: 0.2,
          mean_error: 0.8,
          composition_error: 0.33,
          shuffled_error: 0.7,
        },
      })),
    ),
    model_diagnostics: models.map(({ id }) => ({
      model: id,
      space: 'embeddings',
      dim: 64,
      mean_cosine: 0.12,
      effective_rank: 9,
    })),
    symmetry: models.map(({ id }) => ({
      model: id,
      test: 'inversion',
      space: 'embeddings',
      statistic: 'maximum',
      value: 2e-6,
    })),
    drift: [{ model_a: CHGNET, model_b: TUNED, stratum: 'all', metric: 'shift', value: 0.123 }],
    error_prediction: [SEVENNET, NEQUIX].flatMap((model, at): GivenRow[] =>
      ['all', 'hot.xyz'].map((subset) => ({
        ...{ model, label: 'dft_energy', subset, score: 'novelty', metric: 'spearman', value: 0.4 + 0.2 * at },
        ...{
          low: subset === 'all' ? 0.1 : null,
          high: subset === 'all' ? 0.8 : null,
          n: 77,
          mean_error: 0.05 + 0.02 * at,
        },
      })),
    ),
  };
}

const structures = ['a', 'b', 'c'].map((id): StructureRow => ({
  ...{ materialId: id, structureHash: id, formula: id === 'c' ? 'NaCl' : 'KCl', atomicNumbers: Uint8Array.of(11, 17) },
  ...{ lattice: Float64Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1), fractionalCoordinates: new Float64Array(6), spaceGroup: 1 },
  ...{ orbits: Int32Array.of(0, 1), source: 'cold.csv:1' },
}));

/** Publishes the runs into a folder of their own. */
async function publish(name: string, change: Change): Promise<void> {
  const { models = MODELS, score = scoreOf, rows = (_, all) => all, runs = RUNS, ended } = change;
  for (const run of runs) {
    const first = run === 'findings';
    const tables = { similarity: similarityRows(run, models, score), ...(first ? otherTables(models) : {}) };
    const changed = Object.fromEntries(Object.entries(tables).map(([table, all]) => [table, rows(table, all, run)]));
    await publishRun(join(folder, name), run, changed, { models, structures: first ? structures : [], ended });
  }
}

/** Potentials agree no better than networks without training, and better on hot frames and with random anchors; composition alone reaches little. */
const factors: Record<string, number> = { 'findings-extreme': 2, 'findings-random': 1.2, 'findings-all-sources': 0.5 };
const otherwise: Change = {
  score: (a, b, run) => (run === 'findings' ? 0.4 : 0) + (factors[run] ?? 1) * 0.2 * scoreOf(a, b),
  rows: (table, rows) => {
    if (table === 'arithmetic') return rows.map((row) => (row.predictor === 'one_hot' ? { ...row, value: 0.1 } : row));
    if (table !== 'transport_summary') return rows;
    const constant = (row: GivenRow) => row.model_b === 'control-one-hot' && row.model_a !== CHGNET;
    return rows.map((row) => ({ ...row, element_match_mass: 0.1, alignment_ratio: constant(row) ? null : 0.5 }));
  },
};

/** Changes of the similarity table of the first run. */
const similarity = (change: (row: GivenRow) => GivenRow[]): Change => ({
  rows: (table, rows, run) => (table === 'similarity' && run === 'findings' ? rows.flatMap(change) : rows),
});
const isPair = (row: GivenRow) =>
  row.model_a === SEVENNET && row.model_b === NEQUIX && row.null === 'within_element' && row.space === 'coordinates';
const lacks = new RegExp(
  `similarity of run 'findings' lacks calibrated of mutual_knn_euclidean .* for 1 pairs: ${SEVENNET} and ${NEQUIX}`,
);
/** Changes that no page can be written from. */
const refused: [string, Change, RegExp][] = [
  ['a pair without a row', similarity((row) => (isPair(row) ? [] : [row])), lacks],
  ['a pair without a value', similarity((row) => [isPair(row) ? { ...row, calibrated: null } : row]), lacks],
  [
    'a pair with two rows',
    similarity((row) => (isPair(row) ? [row, row] : [row])),
    /has calibrated of mutual_knn_euclidean .* twice for a pair/,
  ],
  [
    'a potential that nothing is known of',
    { models: MODELS.map((model) => (model.id === TENSORNET ? { ...model, id: 'unheard-of' } : model)) },
    /nothing is known of unheard-of; give family and data in groups.py/,
  ],
  [
    'a run without a control of composition',
    { models: MODELS.slice(0, -1) },
    /run 'findings' lacks a control of composition/,
  ],
  [
    'a run without formation energies',
    { rows: (table, rows) => (table === 'stitching' ? [] : rows) },
    /table stitching of run 'findings' has no target formation_energy/,
  ],
];

/** Errors of all pages, by name. */
let errors = new Map<string, string | null>();
/** The page written from a folder. */
function pageOf(name: string): string {
  expect(errors.get(name)).toBeNull();
  return readFileSync(join(folder, `${name}-docs`, 'findings.md'), 'utf8');
}

beforeAll(async () => {
  const apart = MODELS.map((model) => ({ ...model, lineage: model.id }));
  const changes = new Map<string, Change>([
    ['whole', {}],
    ['otherwise', otherwise],
    ['apart', { models: apart }],
  ]);
  for (const [name, change] of changes) await publish(name, change);
  for (const [name, change] of refused) {
    await cp(join(folder, 'whole'), join(folder, name), { recursive: true });
    await publish(name, { ...change, runs: ['findings'] });
  }
  // an earlier summary of the same tables, by another spec
  await publish('apart', { runs: ['findings'], ended: '2025-01-01T00:00:00.000Z' });
  const names = [...changes.keys(), ...refused.map(([name]) => name)];
  const { stdout } = await promisify(execFile)(referencePython(), [
    pages,
    findings,
    ...names.map((name) => join(folder, name)),
  ]);
  const found = JSON.parse(stdout) as Record<string, string | null>;
  errors = new Map(names.map((name) => [name, found[join(folder, name)]]));
});

/** Text below a heading that begins so. */
function section(text: string, heading: string): string {
  const found = text.split('\n## ').find((part) => part.startsWith(heading));
  if (found === undefined) throw new Error(`no section '${heading}'`);
  return found;
}

/** Cells of the rows of a section's tables, by their first cell. */
function cells(text: string): Map<string, string[][]> {
  const rows = new Map<string, string[][]>();
  for (const line of text.split('\n').filter((one) => one.startsWith('|'))) {
    const [first, ...rest] = line.slice(2, -2).split(' | ');
    rows.set(first, [...(rows.get(first) ?? []), rest]);
  }
  return rows;
}

/** Mean over pairs of lineages and range over pairs, worked out anew. */
function expected(pairs: [SummaryModel, SummaryModel][], score = scoreOf): string {
  const lineages = new Map<string, number[]>();
  for (const [a, b] of pairs) {
    const both = [a.lineage, b.lineage].sort().join();
    lineages.set(both, [...(lineages.get(both) ?? []), score(a, b)]);
  }
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const all = pairs.map(([a, b]) => score(a, b));
  const shown = (value: number) => value.toFixed(2);
  return `${shown(mean([...lineages.values()].map(mean)))} (${shown(Math.min(...all))} to ${shown(Math.max(...all))})`;
}

const pairsThat = (condition: (a: SummaryModel, b: SummaryModel) => boolean) =>
  pairsOf(MODELS).filter(([a, b]) => condition(a, b));
const trained = ({ control }: SummaryModel) => control === null;
const strangers = pairsThat((a, b) => trained(a) && trained(b) && a.lineage !== b.lineage);
const against = (...kinds: string[]) => pairsThat((a, b) => trained(a) && kinds.includes(b.control ?? ''));

describe('the page', () => {
  let text: string;
  beforeAll(() => {
    text = pageOf('whole');
  });

  test('groups pairs by lineage, family, training data and kind of control, and counts a pair of lineages once', () => {
    const rows = cells(section(text, 'Do independently trained'));
    const groups = {
      'one lineage': pairsThat((a, b) => a.id === CHGNET && b.id === TUNED),
      'other family, same data': pairsThat((a, b) => [a, b].every(({ id }) => [CHGNET, SEVENNET, NEQUIX].includes(id))),
      'other family, other data': strangers.filter(([a, b]) =>
        [a, b].some(({ id }) => [TUNED, TENSORNET].includes(id)),
      ),
      'random weights': against('random-weights'),
      'shuffled weights': against('shuffled'),
      'composition only': against('one-hot'),
    };
    expect([...rows.keys()].slice(2)).toEqual(Object.keys(groups)); // no group without a pair, none of two controls
    for (const [name, pairs] of Object.entries(groups)) {
      const share = `${name.startsWith('o') ? pairs.length : 0} of ${pairs.length}`;
      expect(rows.get(name), name).toEqual([[`${pairs.length}`, expected(pairs), share, expected(pairs), share]]);
    }
    // a plain mean over pairs of models is another number: the test can tell
    const every = strangers.map(([a, b]) => scoreOf(a, b));
    const plain = every.reduce((sum, value) => sum + value, 0) / every.length;
    expect(expected(strangers)).not.toContain(`${plain.toFixed(2)} (`);
    expect(text).toContain(`different families share ${expected(strangers)} of`);
    expect(text).toContain(
      `random or shuffled weights reach ${expected(against('random-weights', 'shuffled'))}, against composition alone 0.00 (0.00 to 0.00)`,
    );
  });

  test('shows the intervals of the table beside every pair', () => {
    const rows = cells(section(text, 'What matters'));
    const [pair] = pairsThat((a, b) => a.id === SEVENNET && b.id === NEQUIX);
    const value = scoreOf(...pair);
    expect(rows.get('other family, same data')).toContainEqual([
      `${SEVENNET} and ${NEQUIX}`,
      value.toFixed(2),
      `${(value - 0.01).toFixed(2)} to ${(value + 0.02).toFixed(2)}`,
    ]);
    expect([...rows.values()].flat().length - 2).toBe(1 + 3); // one lineage, same data; strangers are too many to list
    expect(text).toContain('Being of one family with other data is worth - over strangers'); // there is no such pair
  });

  test('averages transport over pairs of lineages, and stitching over ordered ones', () => {
    const at = new Map(pairsOf(MODELS).map(([a, b], place) => [`${a.id} ${b.id}`, place]));
    const mass = (a: SummaryModel, b: SummaryModel) => 0.01 * (at.get(`${a.id} ${b.id}`)! + 1);
    const rows = cells(section(text, 'Transport'));
    const mean = Number(expected(against('shuffled'), (a, b) => 100 * mass(a, b)).split(' ')[0]) / 100;
    expect(rows.get('shuffled weights')![0]).toEqual([
      mean.toFixed(3),
      '-',
      expect.stringMatching(/^0\.\d\d$/),
      '0.30',
      '0.20',
      '0.70',
    ]);
    expect(section(text, 'Transport')).toContain('gap of any plan 2e-13 of its cost');
    expect(section(text, 'Transport')).toContain(
      'right element: more than one vector an element reaches without any network (20 %); between two halves of one model it is 70 %',
    );
    expect(cells(section(text, 'What stitching')).get('relative, ridge')![0].slice(1)).toEqual([
      '0.40',
      '0.40',
      '0.70',
      '0.20',
    ]);
    expect(section(text, 'What stitching')).toContain('(0.80 eV/atom). A ridge on composition alone reaches 0.33.');
  });

  test('has the figures of the tables of single models, and a dash where a table has none', () => {
    expect(cells(section(text, 'The run')).get('cold.csv')).toEqual([['3', '6', '2']]);
    expect(section(text, 'The run')).toContain('5 trained potentials of 4 families and\n3 controls');
    expect(section(text, 'The run')).toContain('a structure for all): none.'); // an empty table has columns
    const arithmetic = cells(section(text, 'What arithmetic'));
    expect(arithmetic.get(TUNED)).toEqual([['0.21 (0.17 to 0.24)', '0.26 (0.22 to 0.29)', '0.05 (0.01 to 0.08)', '-']]);
    expect([...arithmetic.keys()].slice(2)).toEqual(MODELS.map(({ id }) => id));
    expect(section(text, 'What arithmetic')).toMatch(
      /^Nothing beyond composition.*0\.90; no trained potential.*reaches 0\.24 on coordinates and 0\.29 on raw.*reach - with.*1,234 pairs of 56/ms,
    );
    const spaces = cells(section(text, 'How the potentials'));
    expect(spaces.get(NEQUIX)).toEqual([['0.12', '9 of 64', '-', '-', '-', '2e-06']]);
    expect(spaces.get(`${CHGNET} to ${TUNED}`)).toEqual([['-', '0.123', '-', '-', '-']]);
    const errors = cells(section(text, 'Which structures are atypical'));
    expect(errors.get('hot.xyz')).toEqual([['77', '60', '0.50 (0.40 to 0.60)', ...Array<string>(6).fill('-')]]);
  });
});

describe('sentences follow the figures', () => {
  const text = () => pageOf('otherwise');

  test('that turn with them', () => {
    expect(text()).toContain('Not clearly. Trained potentials');
    expect(text()).toContain('The agreement rises out of distribution');
    expect(text()).toContain('At least as much as composition.');
    expect(text()).toContain('the right element: less than one vector');
    expect(text()).toContain('Where the anchors come from decides more than how they are chosen');
    expect(text()).toContain('DIRECT does worse than the same number of atoms drawn at random');
    expect(text()).toContain('Against it: potentials of different families share');
    expect(text()).toContain('For chemical arithmetic as a sign of learned chemistry');
    expect(pageOf('whole')).toContain('For it: potentials of different families share');
    expect(pageOf('whole')).toContain('Against chemical arithmetic as a sign of learned chemistry');
    expect(pageOf('whole')).toContain('DIRECT does about as well as the same number of atoms drawn at random');
  });

  test('say how many values of an average are undefined', () => {
    expect(cells(section(text(), 'Transport')).get('composition only')![0][2]).toBe('0.50 (4 of 5 undefined)');
  });
});

test('lineages are those of the last summary of the run', () => {
  const rows = cells(section(pageOf('apart'), 'Do independently trained'));
  expect(rows.has('one lineage')).toBe(false);
  expect(rows.get('same family, other data')![0][0]).toBe('1');
});

test.each(refused)('what is not there is no number: %s ends in an error that names it', (name, _, message) => {
  expect(errors.get(name)).toMatch(message);
});

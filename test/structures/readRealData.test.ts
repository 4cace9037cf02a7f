import { createReadStream } from 'node:fs';
import { basename } from 'node:path';
import { createGunzip } from 'node:zlib';
import { parse } from 'csv-parse';
import { beforeAll, expect, test } from 'vitest';
import { reducedFormula } from '../../structures/formula.js';
import { readStructures } from '../../structures/readers/read.js';
import { localSources } from '../../structures/sources.js';
import type { ReadItem, Rejection, Structure } from '../../structures/structure.js';
import { describeShared, sharedPath } from '../support/shared.js';
import { runReference } from './reference/run.js';

interface Reading {
  source: string;
  ordered: boolean;
  numbers: number[];
  lattice: number[] | null;
  cellpar: number[] | null;
  frac: number[];
}

async function* itemsOf(path: string): AsyncGenerator<ReadItem> {
  for await (const source of localSources(sharedPath(path))) yield* readStructures(source);
}

async function readAll(path: string): Promise<{ structures: Structure[]; rejections: Rejection[] }> {
  const structures: Structure[] = [];
  const rejections: Rejection[] = [];
  for await (const item of itemsOf(path)) {
    if ('structure' in item) structures.push(item.structure);
    else rejections.push(item.rejection);
  }
  return { structures, rejections };
}

/** Lengths and angles, as ASE's cellpar. */
function cellParameters(lattice: Float64Array): number[] {
  const [a, b, c] = [0, 3, 6].map((at) => lattice.subarray(at, at + 3));
  const dot = (u: Float64Array, v: Float64Array) => u[0] * v[0] + u[1] * v[1] + u[2] * v[2];
  const lengths = [a, b, c].map((v) => Math.sqrt(dot(v, v)));
  const angle = (u: Float64Array, v: Float64Array) =>
    (Math.acos(dot(u, v) / Math.sqrt(dot(u, u) * dot(v, v))) * 180) / Math.PI;
  return [...lengths, angle(b, c), angle(a, c), angle(a, b)];
}

const periodicStep = (a: number, b: number) => Math.abs(a - b - Math.round(a - b));

/** Largest fractional step from each atom to the reference's atom: the same index, else the nearest of the element, each once. */
function largestStep(structure: Structure, reading: Reading): number {
  const n = structure.atomicNumbers.length;
  const f = structure.fractionalCoordinates;
  const step = (i: number, j: number) =>
    Math.max(...[0, 1, 2].map((k) => periodicStep(f[3 * i + k], reading.frac[3 * j + k])));
  const free = new Set(reading.numbers.keys());
  let largest = 0;
  for (let i = 0; i < n; i++) {
    const candidates = reading.ordered
      ? [i]
      : [...free].filter((j) => reading.numbers[j] === structure.atomicNumbers[i]);
    const steps = candidates.map((j) => step(i, j));
    const nearest = Math.min(...steps);
    free.delete(candidates[steps.indexOf(nearest)]);
    largest = Math.max(largest, nearest);
  }
  return largest;
}

function expectEqual(structure: Structure | undefined, reading: Reading, tolerance: number): void {
  const where = reading.source;
  expect(structure, where).toBeDefined();
  const numbers = [...structure!.atomicNumbers];
  if (!reading.ordered) {
    numbers.sort((a, b) => a - b);
    expect(numbers, where).toEqual([...reading.numbers].sort((a, b) => a - b));
  } else expect(numbers, where).toEqual(reading.numbers);
  const [mine, theirs] = reading.lattice
    ? [[...structure!.lattice], reading.lattice]
    : [cellParameters(structure!.lattice), reading.cellpar!];
  const largest = Math.max(...mine.map((x, i) => Math.abs(x - theirs[i])));
  expect(largest, `${where}: lattice ${mine.join(' ')} and ${theirs.join(' ')}`).toBeLessThan(1e-6);
  expect(largestStep(structure!, reading), `${where}: fractional coordinates`).toBeLessThan(tolerance);
}

describeShared('the 28,961 real structures', () => {
  const files = [
    'data/lemat-genbench/baseline_mp.zip',
    'data/lemat-genbench/baseline_alexandria.zip',
    'data/lemat-genbench/baseline_oqmd.zip',
    'data/lemat-genbench/baseline_aflow.zip',
    'data/lemat-genbench/lematbulk_samples_5x1000.zip',
    'data/mp20-subset/mp20_subset.csv.gz',
    'data/jarvis/supercon_train.csv.gz',
    'data/matminer-legacy/piezoelectric_tensor.csv.gz',
    'data/jarvis/mineral_name_prototype.json.zip',
    'data/mattersim-benchmarks/mptrj-random-1k.xyz.gz',
    'data/mattersim-benchmarks/mptrj-highest-stress-1k.xyz.gz',
    'data/mattersim-benchmarks/alexandria-random-1k.xyz.gz',
    'data/mattersim-benchmarks/mpf-TP.xyz.gz',
    'data/mattersim-benchmarks/mpf-alkali-TP.xyz.gz',
    'data/mattersim-benchmarks/random-TP.xyz.gz',
    'data/phonondb/phononDB-PBE-structures.extxyz',
    'data/mp-entries/Li-Co-Ni-O.json.gz',
    'data/mp-entries/Na-Fe-P-O.json.gz',
    'data/acwf/acwf_PBE_v1_xsf.zip',
  ];

  const read = new Map<string, { structures: Structure[]; rejections: Rejection[] }>();
  beforeAll(async () => {
    for (const file of files) read.set(file, await readAll(file));
  });

  test('each is read, with the number of atoms and the formula of the index; other files are one rejection each', async () => {
    const index = new Map<string, { natoms: string; formula: string; id: string }[]>();
    const rows = createReadStream(sharedPath('data/structures_index.csv.gz'))
      .pipe(createGunzip())
      .pipe(parse({ columns: true }));
    for await (const row of rows as AsyncIterable<Record<'dataset' | 'natoms' | 'formula' | 'id', string>>) {
      index.set(row.dataset, [...(index.get(row.dataset) ?? []), row]);
    }
    const dielectric: Structure[] = [];
    const lines: string[] = [];
    for await (const row of runReference('readFiles.py', ['1', 'dielectric'])) lines.push(JSON.stringify(row));
    for await (const item of readStructures({ name: 'dielectric.jsonl', open: () => chunksOf(lines.join('\n')) })) {
      if ('structure' in item) dielectric.push(item.structure);
    }

    const others: string[] = [];
    let total = 0;
    const check = (dataset: string, structures: Structure[], idOf: (structure: Structure) => string | undefined) => {
      const expected = index.get(dataset);
      expect(expected, dataset).toBeDefined();
      expect(structures.length, dataset).toBe(expected!.length);
      structures.forEach((structure, i) => {
        const { natoms, formula, id } = expected![i];
        const told = `${dataset} ${i} ${structure.source}`;
        expect(structure.atomicNumbers.length, told).toBe(Number(natoms));
        expect(reducedFormula(structure.atomicNumbers), told).toBe(formula);
        const own = idOf(structure);
        if (own !== undefined) expect(own, told).toBe(id);
      });
      total += structures.length;
    };
    const datasets = [
      'lemat_mp',
      'lemat_alexandria',
      'lemat_oqmd',
      'lemat_jarvis(aflow dir)',
      'lematbulk_samples',
      'mp20_subset',
      'jarvis_supercon',
      'mp_piezo',
      'jarvis_minerals',
      'mattersim_mptrj-random-1k',
      'mattersim_mptrj-highest-stress-1k',
      'mattersim_alexandria-random-1k',
      'mattersim_mpf-TP',
      'mattersim_mpf-alkali-TP',
      'mattersim_random-TP',
      'phonondb_103',
      'mp_entries_Li-Co-Ni-O',
      'mp_entries_Na-Fe-P-O',
      'acwf',
    ];
    const stated = new Set([
      'mp20_subset',
      'jarvis_supercon',
      'mp_piezo',
      'phonondb_103',
      'mp_entries_Li-Co-Ni-O',
      'mp_entries_Na-Fe-P-O',
      'acwf',
    ]);
    for (const [i, file] of files.entries()) {
      const { structures, rejections } = read.get(file)!;
      others.push(...rejections.map(({ source, code }) => `${basename(source)} ${code}`));
      check(datasets[i], structures, (structure) => (stated.has(datasets[i]) ? structure.materialId : undefined));
    }
    check('mp_dielectric', dielectric, (structure) => structure.materialId);
    expect(total).toBe(28_961);
    expect(others.sort()).toEqual([
      'aggregate_statistics.json unparsable',
      ...new Array<string>(4).fill('metadata.csv unparsable'),
      ...new Array<string>(5).fill('statistics.json unparsable'),
    ]);
  });

  test('a sample of every format equals the reading of pymatgen or ASE', async () => {
    const readings = new Map<string, Reading[]>();
    for await (const reading of runReference<Reading>('readFiles.py', [
      '200',
      'mp20',
      'lemat',
      'xyz',
      'entries',
      'minerals',
      'xsf',
    ])) {
      readings.set(reading.source, [...(readings.get(reading.source) ?? []), reading]);
    }
    expect(readings.size).toBeGreaterThan(130);
    let compared = 0;
    for (const structure of [...read.values()].flatMap(({ structures }) => structures)) {
      for (const reading of readings.get(structure.source) ?? []) {
        expectEqual(structure, reading, 1e-7);
        compared++;
      }
    }
    expect(compared).toBe([...readings.values()].flat().length);
  });
});

describeShared('the format samples', () => {
  test('what pymatgen or ASE reads, koine reads equally, but for what it must refuse', async () => {
    const found = new Map<string, ReadItem>();
    for await (const item of itemsOf('data/format-samples')) {
      const { source } = 'structure' in item ? item.structure : item.rejection;
      found.set(basename(source), item);
    }
    const refused: string[] = [];
    for await (const reading of runReference<Reading>('readFiles.py', ['1', 'samples'])) {
      const item = found.get(reading.source);
      if (item && 'rejection' in item) refused.push(`${reading.source}: ${item.rejection.code}`);
      // Atoms on special positions are averaged over their images, which moves them by the rounding of the file.
      else expectEqual(item?.structure, reading, reading.source.endsWith('.cif') ? 2e-4 : 1e-7);
    }
    expect(refused).toEqual([]);
  });

  test.each([
    ['Li10GeP2S12.cif', 'partial_occupancy', /site 0 \(Li1\) has occupancy 0\.691/],
    ['Bi2Zr2O8-Fm3m.json', 'partial_occupancy', /'Bi': '0\.5', 'Zr': '0\.5'/],
    ['scientific-notation.poscar', 'atoms_too_close', /0\.00727 Å/],
    ['vasp4-format.poscar', 'unknown_element', /names no elements/],
    ['Al-fcc.dump', 'unparsable', /LAMMPS/],
    ['NaCl-rocksalt.pdb', 'unparsable', /PDB/],
  ])('%s is refused as %s', async (name, code, message) => {
    const { structures, rejections } = await readAll(`data/format-samples/matterviz/${name}`);
    expect(structures).toEqual([]);
    expect(rejections).toHaveLength(1);
    expect(rejections[0].code).toBe(code);
    expect(rejections[0].message).toMatch(message);
  });

  test('each record of the bad OPTIMADE structures is a rejection', async () => {
    const { structures, rejections } = await readAll(
      'data/format-samples/optimade/tests__models__test_data__test_bad_structures.json',
    );
    expect(structures).toEqual([]);
    expect(rejections.length).toBe(31);
  });
});

async function* chunksOf(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

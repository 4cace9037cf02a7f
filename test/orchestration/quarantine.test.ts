import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { quarantineTable, type QuarantineRow } from '../../datasets/tables/quarantine.js';
import { describeShared } from '../support/shared.js';
import { crystals, extendedXyz, Workplace } from './koine.js';

const poscar = (lines: string[]) => `${lines.join('\n')}\n`;
const cube = ['1.0', '4 0 0', '0 4 0', '0 0 4'];

/** A broken file and the reason code it must get. */
const BROKEN: [name: string, content: string, code: string][] = [
  ['junk.cif', '\u0000\u0001 this is no structure', 'unparsable'],
  ['truncated.poscar', poscar(['Si', ...cube, 'Si', '2', 'Direct', '0 0 0']), 'unparsable'],
  ['empty.extxyz', '', 'empty'],
  ['nan.poscar', poscar(['Si', ...cube, 'Si', '1', 'Direct', 'nan 0 0']), 'non_finite'],
  ['flat.poscar', poscar(['Si', '1.0', '4 0 0', '0 4 0', '4 4 0', 'Si', '1', 'Direct', '0 0 0']), 'singular_cell'],
  ['close.poscar', poscar(['Si', ...cube, 'Si', '2', 'Direct', '0 0 0', '0.05 0 0']), 'atoms_too_close'],
  ['element.poscar', poscar(['Xx', ...cube, 'Xx', '1', 'Direct', '0 0 0']), 'unknown_element'],
  [
    'disordered.cif',
    poscar([
      'data_x',
      ...['_cell_length_a', '_cell_length_b', '_cell_length_c'].map((name) => `${name} 4`),
      ...['_cell_angle_alpha', '_cell_angle_beta', '_cell_angle_gamma'].map((name) => `${name} 90`),
      'loop_',
      ...[
        '_atom_site_type_symbol',
        '_atom_site_fract_x',
        '_atom_site_fract_y',
        '_atom_site_fract_z',
        '_atom_site_occupancy',
      ],
      'Fe 0 0 0 0.5',
    ]),
    'partial_occupancy',
  ],
];

describeShared('a folder of broken files beside good ones', () => {
  const place = new Workplace();
  const folder = place.path('source');
  beforeAll(() => {
    mkdirSync(folder);
    const good = crystals(40);
    writeFileSync(join(folder, 'good.extxyz'), extendedXyz(good));
    for (const [name, content] of BROKEN) writeFileSync(join(folder, name), content);
    // One id, two structures.
    writeFileSync(join(folder, 'zz-again.extxyz'), extendedXyz([{ ...good[1], materialId: good[0].materialId }]));
    // The same structure twice is no conflict.
    writeFileSync(join(folder, 'zz-same.extxyz'), extendedXyz([good[2]]));
  });
  afterAll(() => place.close());

  test('the good ones are aligned and each broken one is a row with its code', async () => {
    const { code, summary, stderr } = await place.run(
      place.spec('broken', { source: [{ path: folder }], limits: { quarantine_fraction: 0.5 } }),
    );
    expect(stderr).not.toMatch(/Error:/);
    expect(code).toBe(0);
    expect(summary.structures).toBe(40);
    const rows = await quarantineRows(place.path('out-broken'));
    const codes = new Map(
      rows.filter((row) => row.stage === 'snapshot').map((row) => [row.source.replace(/:.*/, ''), row]),
    );
    for (const [name, , expected] of BROKEN) {
      expect([name, codes.get(name)?.code]).toEqual([name, expected]);
      expect(codes.get(name)?.message.length).toBeGreaterThan(20);
    }
    // Which of the two keeps the id is decided by what they are, not by the order of files.
    const [again] = rows.filter((row) => row.code === 'duplicate_id');
    expect(['zz-again.extxyz', 'good.extxyz']).toContain(again.source.replace(/:.*/, ''));
    expect(again.material_id).toBe(crystals(1)[0].materialId);
    expect(codes.has('zz-same.extxyz')).toBe(false);
    expect(summary.quarantined).toBe(BROKEN.length + 1);
  });

  test('past the limit the run ends with exit code 3 and its record lists the rows', async () => {
    const { code, summary, stderr } = await place.run(
      place.spec('limited', { source: [{ path: folder }], limits: { quarantine_fraction: 0.05 } }),
    );
    expect(code).toBe(3);
    expect(stderr).toMatch(/9 of 49 structures of the sources are quarantined/);
    const failed = summary as unknown as {
      status: string;
      quarantine: { codes: Record<string, number>; rows: QuarantineRow[] };
    };
    expect(failed.status).toBe('quarantine_limit');
    expect(failed.quarantine.codes.unparsable).toBe(2);
    expect(failed.quarantine.rows).toHaveLength(9);
  });
});

async function quarantineRows(output: string): Promise<QuarantineRow[]> {
  const rows: QuarantineRow[] = [];
  for (const entry of readdirSync(join(output, 'quarantine'), { recursive: true, withFileTypes: true }))
    if (entry.name.endsWith('.parquet'))
      rows.push(...(await quarantineTable.decode(readFileSync(join(entry.parentPath, entry.name)))).rows);
  return rows;
}

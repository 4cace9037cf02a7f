import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readStructures } from '../structures/readers/read.js';
import { localSources } from '../structures/sources.js';
import { sharedPath } from '../test/support/shared.js';
import { median, startPythonPeer } from './pythonPeer.js';

const ROUNDS = 5;
const CRYSTALS = 500;

/**
 * koine's readers against gemmi, pymatgen and ASE on the same crystals of the Materials Project, as one CIF and one POSCAR each, and as
 * one extended XYZ and one JSON file; koine also validates, which the others do not. Takes turns; prints medians and ratios.
 * @throws Error when koine refuses one
 */
export async function main(): Promise<void> {
  const archive = sharedPath('data/lemat-genbench/baseline_mp.zip');
  const folder = await mkdtemp(join(tmpdir(), 'koine-bench-readers-'));
  const peer = startPythonPeer('readers.py');
  try {
    const kinds = await peer.ask<Record<string, string[]>>({ archive, folder, count: CRYSTALS });
    console.log(`${CRYSTALS} crystals, medians of ${ROUNDS} alternating passes, one thread; µs a crystal`);
    for (const [kind, readers] of Object.entries(kinds)) {
      const seconds = new Map<string, number[]>(['koine', ...readers].map((name) => [name, []]));
      for (let round = 0; round <= ROUNDS; round++) {
        const passes = new Map([['koine', await pass(join(folder, `*.${kind}`))]]);
        for (const reader of readers)
          passes.set(reader, (await peer.ask<{ seconds: number }>({ kind, reader })).seconds);
        // The first warms up: compilation here, imports and first touches there.
        if (round > 0) for (const [name, time] of passes) seconds.get(name)!.push(time);
      }
      const ours = median(seconds.get('koine')!);
      for (const [name, times] of seconds) {
        const time = median(times);
        const each = ((1e6 * time) / CRYSTALS).toFixed(0).padStart(7);
        console.log(
          `  ${kind.padEnd(7)} ${name.padEnd(9)} ${each}${name === 'koine' ? '' : `  koine is ${(time / ours).toFixed(2)} times as fast`}`,
        );
      }
    }
  } finally {
    await peer.end();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Seconds to read all files of a glob. */
async function pass(glob: string): Promise<number> {
  const start = performance.now();
  let count = 0;
  for await (const source of localSources(glob))
    for await (const item of readStructures(source)) {
      if ('rejection' in item) throw new Error(`bench/readers: ${item.rejection.source}: ${item.rejection.message}`);
      count++;
    }
  if (count !== CRYSTALS) throw new Error(`bench/readers: ${glob} has ${count} crystals instead of ${CRYSTALS}`);
  return (performance.now() - start) / 1000;
}

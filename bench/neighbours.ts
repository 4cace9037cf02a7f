import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { packageRoot } from '../infra/toolchain.js';
import { neighbourList } from '../structures/neighbours.js';
import type { Structure } from '../structures/structure.js';
import { referencePython } from '../test/support/python.js';
import { realStructures } from './realStructures.js';

const ROUNDS = 9;
const CUTOFFS = [5, 6];

interface Pass {
  seconds: number;
  edges: number;
}

/**
 * koine's neighbour list against `matscipy.neighbours.neighbour_list` (C) on the same real crystals: both give centre, neighbour,
 * shift, vector and distance of every edge, in one thread each, taking turns in one run. Prints medians and ratios.
 * @throws Error if the two disagree on the number of edges
 */
export async function main(): Promise<void> {
  const structures = await realStructures(Infinity);
  const atoms = structures.map((structure) => structure.atomicNumbers.length).sort((a, b) => a - b);
  console.log(
    `neighbour lists of ${structures.length} MP-20 structures, ${atoms[0]} to ${atoms.at(-1)} atoms, median ${median(atoms)}; ` +
      `medians of ${ROUNDS} alternating passes, one thread`,
  );
  const matscipy = startMatscipy(structures);
  for (const cutoff of CUTOFFS) {
    const passes: { koine: Pass[]; matscipy: Pass[] } = { koine: [], matscipy: [] };
    for (let round = 0; round <= ROUNDS; round++) {
      const ours = timed(structures, cutoff);
      const theirs = await matscipy.pass(cutoff);
      if (ours.edges !== theirs.edges) {
        throw new Error(`bench/neighbours: at ${cutoff} Å koine finds ${ours.edges} edges, matscipy ${theirs.edges}`);
      }
      if (round === 0) continue; // both warm up: compilation here, imports and first touches there
      passes.koine.push(ours);
      passes.matscipy.push(theirs);
    }
    const { edges } = passes.koine[0];
    const row = (name: 'koine' | 'matscipy') => {
      const seconds = median(passes[name].map((pass) => pass.seconds));
      const spread = passes[name].map((pass) => ((1e6 * pass.seconds) / structures.length).toFixed(1));
      console.log(
        `  ${cutoff} Å  ${name.padEnd(8)}  ${((1e6 * seconds) / structures.length).toFixed(1).padStart(6)} µs a structure  ` +
          `${((1e9 * seconds) / edges).toFixed(0).padStart(4)} ns an edge  (passes: ${spread.join(' ')})`,
      );
      return seconds;
    };
    const ours = row('koine');
    const theirs = row('matscipy');
    console.log(`  ${cutoff} Å  ${edges} edges; koine is ${(theirs / ours).toFixed(2)} times as fast as matscipy`);
  }
  await matscipy.end();
}

function timed(structures: Structure[], cutoff: number): Pass {
  let edges = 0;
  const start = performance.now();
  for (const structure of structures) edges += neighbourList(structure, cutoff).count;
  return { seconds: (performance.now() - start) / 1000, edges };
}

function startMatscipy(structures: Structure[]) {
  const child = spawn(referencePython(), [join(packageRoot(), 'bench/neighbours.py')], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, OMP_NUM_THREADS: '1', OPENBLAS_NUM_THREADS: '1' },
  });
  const replies = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const input = structures.map(({ lattice, fractionalCoordinates }) => [[...lattice], [...fractionalCoordinates]]);
  child.stdin.write(`${JSON.stringify(input)}\n`);
  return {
    async pass(cutoff: number): Promise<Pass> {
      child.stdin.write(`${cutoff}\n`);
      const reply = await replies.next();
      if (reply.done) throw new Error('bench/neighbours: the matscipy process ended; its message is above');
      return JSON.parse(reply.value) as Pass;
    },
    async end(): Promise<void> {
      child.stdin.end();
      await once(child, 'close');
    },
  };
}

function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await main();

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readStructures } from '../structures/readers/read.js';
import { localSources } from '../structures/sources.js';
import { referencePython } from '../test/support/python.js';

/**
 * Reads every file below a folder and holds it against what pymatgen, ASE and gemmi read: `node dist/bench/corpus.js FOLDER`. Prints a
 * row for each file that koine refuses though one of them reads it, or reads otherwise, then how many there are of each kind.
 */
const [folder = '.'] = process.argv.slice(2);
const script = fileURLToPath(new URL('corpus.py', new URL(`../../bench/`, import.meta.url)));
const python = spawn(referencePython(), [script, resolve(folder)], { stdio: ['pipe', 'inherit', 'inherit'] });
const closed = once(python, 'close');
for await (const source of localSources(folder)) {
  const items: object[] = [];
  const start = performance.now();
  for await (const item of readStructures(source, { maxAtoms: 5000 })) {
    if ('rejection' in item) items.push({ code: item.rejection.code, message: item.rejection.message });
    else {
      const { atomicNumbers, lattice, fractionalCoordinates } = item.structure;
      items.push({ numbers: [...atomicNumbers], lattice: [...lattice], fractional: [...fractionalCoordinates] });
    }
  }
  const seconds = (performance.now() - start) / 1000;
  python.stdin.write(`${JSON.stringify({ file: relative(resolve(folder), source.path), seconds, items })}\n`);
}
python.stdin.end();
await closed;

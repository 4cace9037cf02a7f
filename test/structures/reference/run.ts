import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { sharedPath } from '../../support/shared.js';
import { referencePython } from '../../support/python.js';

/**
 * Runs a script of this folder in the reference Python and yields its output, one JSON value a line. The script's first
 * argument is the folder of real structures.
 * @throws Error with the script's stderr if it fails
 */
export async function* runReference<T>(script: string, args: string[] = []): AsyncGenerator<T> {
  const path = fileURLToPath(new URL(script, import.meta.url));
  const child = spawn(referencePython(), [path, sharedPath('.'), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, OMP_NUM_THREADS: '1', OPENBLAS_NUM_THREADS: '1' },
  });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr = (stderr + chunk.toString()).slice(-4000)));
  const closed = once(child, 'close') as Promise<[number | null]>;
  for await (const line of createInterface({ input: child.stdout })) yield JSON.parse(line) as T;
  const [code] = await closed;
  if (code !== 0) throw new Error(`${script} exited with code ${code}: ${stderr}`);
}

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { buildGroup } from '../../models/graphBatch.js';
import { InferencePool } from '../../models/inferencePool.js';
import { encoderOf } from '../../models/session.js';
import { ModelStore } from '../../models/store.js';
import { compiledEntry } from '../../threads/pool.js';
import { describeShared, sharedPath } from '../support/shared.js';
import { devStructures } from './devStructures.js';

const run = promisify(execFile);

/** Runs a module's text in a process of its own and parses the JSON it prints. */
async function inProcess<T>(text: string, argument: unknown, env: Record<string, string> = {}): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'koine-process-'));
  try {
    const script = join(folder, 'main.mjs');
    await writeFile(script, text);
    await writeFile(join(folder, 'argument.json'), JSON.stringify(argument));
    const { stdout } = await run(process.execPath, [script], { env: { ...process.env, ...env } });
    return JSON.parse(stdout) as T;
  } finally {
    await rm(folder, { recursive: true });
  }
}

const sha256 = (values: Float32Array<ArrayBuffer>) =>
  createHash('sha256').update(new Uint8Array(values.buffer)).digest('hex');

// CHGNet sums messages with ScatterND(reduction=add), the operator that races when a session has more than one thread.
describeShared('one thread a session', () => {
  test.skipIf(process.platform !== 'linux')(
    'a session has no thread of its own, whatever the environment says',
    async () => {
      const encoder = encoderOf(await new ModelStore([sharedPath('models')]).resolve('chgnet-0.3.0'));
      const session = compiledEntry('../../models/session.js', import.meta.url).href;
      const ort = import.meta.resolve('onnxruntime-node');
      const script = `
      import { readdirSync, readFileSync } from 'node:fs';
      import ort from ${JSON.stringify(ort)};
      import { loadSession } from ${JSON.stringify(session)};
      const threads = () => readdirSync('/proc/self/task').length;
      const encoder = JSON.parse(readFileSync(new URL('argument.json', import.meta.url), 'utf8'));
      const warm = await loadSession(encoder, 'cpu'); // file threads and those of the runtime itself have started
      const before = threads();
      const sessions = [warm, await loadSession(encoder, 'cpu')];
      const koine = threads() - before;
      sessions.push(await ort.InferenceSession.create(encoder.onnxPath, { intraOpNumThreads: 4 }));
      process.stdout.write(JSON.stringify({ koine, four: threads() - before - koine }));`;
      const environment = { OMP_NUM_THREADS: '8', ORT_NUM_THREADS: '8', UV_THREADPOOL_SIZE: '4' };
      expect(await inProcess(script, encoder, environment)).toEqual({ koine: 0, four: 3 });
    },
  );

  test('the same batch gives the same bits, run after run', async () => {
    const model = await new ModelStore([sharedPath('models')]).resolve('chgnet-0.3.0');
    const structures = (await devStructures()).slice(0, 12);
    const pool = new InferencePool({ threads: 2, provider: 'cpu' });
    const indices = structures.map((_, index) => index);
    const runs = Array.from({ length: 20 }, async () => {
      const [batch] = buildGroup(structures, indices, model.card, { atoms: Infinity, edges: Infinity }).batches;
      return sha256((await pool.runBatch(model, batch)).embedding);
    });
    expect(new Set(await Promise.all(runs)).size).toBe(1);
    await pool.close();
  });

  test('another process gives the same bits', async () => {
    const model = await new ModelStore([sharedPath('models')]).resolve('chgnet-0.3.0');
    const structures = (await devStructures()).slice(0, 20);
    const pool = new InferencePool({ threads: 2, provider: 'cpu' });
    const here = sha256((await pool.embed(model, structures)).embedding);
    await pool.close();
    const script = `
      import { createHash } from 'node:crypto';
      import { readFileSync } from 'node:fs';
      import { InferencePool } from ${JSON.stringify(compiledEntry('../../models/inferencePool.js', import.meta.url).href)};
      const { model, structures } = JSON.parse(readFileSync(new URL('argument.json', import.meta.url), 'utf8'));
      const crystals = structures.map(({ z, lattice, positions }) => ({
        atomicNumbers: Uint8Array.from(z), lattice: Float64Array.from(lattice), fractionalCoordinates: Float64Array.from(positions),
      }));
      const pool = new InferencePool({ threads: 1, provider: 'cpu' });
      const { embedding } = await pool.embed(model, crystals);
      process.stdout.write(JSON.stringify(createHash('sha256').update(new Uint8Array(embedding.buffer)).digest('hex')));
      await pool.close();`;
    const argument = {
      model,
      structures: structures.map((s) => ({
        z: [...s.atomicNumbers],
        lattice: [...s.lattice],
        positions: [...s.fractionalCoordinates],
      })),
    };
    expect(await inProcess(script, argument)).toBe(here);
  });
});

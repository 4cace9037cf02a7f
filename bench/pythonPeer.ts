import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { packageRoot } from '../infra/toolchain.js';
import { referencePython } from '../test/support/python.js';

/** A Python process that answers one JSON line for each JSON line, on one thread. */
export interface PythonPeer {
  ask<T>(question: unknown): Promise<T>;
  end(): Promise<void>;
}

/** Starts `bench/<script>`, in the reference Python where no other is given. */
export function startPythonPeer(script: string, python = referencePython()): PythonPeer {
  const one = { OMP_NUM_THREADS: '1', OPENBLAS_NUM_THREADS: '1', MKL_NUM_THREADS: '1' };
  const child = spawn(python, [join(packageRoot(), 'bench', script)], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...one },
  });
  const replies = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async ask<T>(question: unknown): Promise<T> {
      child.stdin.write(`${JSON.stringify(question)}\n`);
      let reply = await replies.next();
      // Some packages greet on stdout when they are imported; an answer is an object.
      while (!reply.done && !reply.value.startsWith('{')) reply = await replies.next();
      if (reply.done) throw new Error(`bench/${script}: the Python process ended; its message is above`);
      return JSON.parse(reply.value) as T;
    },
    async end(): Promise<void> {
      child.stdin.end();
      await once(child, 'close');
    },
  };
}

/** The middle value. */
export function median(values: number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { withLock } from '../locks/lock.js';

/** Receives one line of human text about work that takes a while. */
export type OnProgress = (line: string) => void;

/** Seconds between two lines of a silent build. */
const HEARTBEAT_SECONDS = 10;

/**
 * Makes `path` once: under a lock, so that two processes don't build the same thing; `make` fills a temporary sibling that
 * is renamed into place, so that a half-made one is never seen.
 * @param make gets the temporary path (its parent exists, it does not)
 */
export async function provision(
  path: string,
  make: (temporary: string) => Promise<void>,
  onProgress: OnProgress,
): Promise<void> {
  if (existsSync(path)) return;
  mkdirSync(dirname(path), { recursive: true });
  const onWait = (pid: number) => onProgress(`waiting for process ${pid}, which is making ${path}`);
  await withLock(
    `${path}.lock`,
    async () => {
      if (existsSync(path)) return; // made while we waited
      const temporary = `${path}.partial`;
      rmSync(temporary, { recursive: true, force: true });
      try {
        await make(temporary);
        renameSync(temporary, path);
      } finally {
        rmSync(temporary, { recursive: true, force: true });
      }
    },
    { onWait },
  );
}

/**
 * Makes the folder `path` once, in place, for what knows its own path (a Python virtual environment). A mark written last
 * makes it count; what an interrupted attempt left is removed first.
 * @param make gets the empty or missing folder
 */
export async function provisionFolder(path: string, make: () => Promise<void>, onProgress: OnProgress): Promise<void> {
  const mark = completeMark(path);
  await provision(
    mark,
    async (temporary) => {
      for (const name of readdirSync(path))
        if (!name.startsWith(basename(mark))) rmSync(join(path, name), { recursive: true, force: true });
      await make();
      writeFileSync(temporary, '');
    },
    onProgress,
  );
}

/** The file whose presence says that a folder of {@link provisionFolder} is whole. */
export function completeMark(path: string): string {
  return join(path, '.koine-complete');
}

/**
 * Runs a command to its end, saying every ten seconds what runs, for how long, and the last line it printed.
 * @param label what the command does, in words, e.g. `temporal 1.5.1: go install`
 * @throws Error with the command and the end of its output
 */
export function runReporting(
  label: string,
  command: string,
  args: string[],
  options: { env?: NodeJS.ProcessEnv; onProgress: OnProgress; timeoutSeconds?: number },
): Promise<string> {
  const { onProgress, timeoutSeconds } = options;
  const startedAt = Date.now();
  const seconds = () => Math.round((Date.now() - startedAt) / 1000);
  onProgress(label);
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      env: { ...process.env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(timeoutSeconds === undefined ? {} : { timeout: timeoutSeconds * 1000 }),
    });
    let output = '';
    const keep = (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-8192);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    const heartbeat = setInterval(() => {
      const last = output.trimEnd().split('\n').at(-1)?.trim().slice(0, 100) ?? '';
      onProgress(`${label}: ${seconds()} s${last ? ` (${last})` : ''}`);
    }, HEARTBEAT_SECONDS * 1000);
    const fail = (why: string) => {
      const end = output.trim().slice(-1500);
      reject(new Error(`\`${[command, ...args].join(' ')}\` ${why}${end ? `:\n${end}` : ''}`));
    };
    child.on('error', (error: NodeJS.ErrnoException) => {
      clearInterval(heartbeat);
      fail(error.code === 'ENOENT' ? `can't start: there is no ${command} on PATH` : `can't start: ${error.message}`);
    });
    child.on('close', (code, signal) => {
      clearInterval(heartbeat);
      if (code !== 0) return fail(signal ? `was ended by ${signal} after ${seconds()} s` : `exited with ${code}`);
      if (seconds() >= HEARTBEAT_SECONDS) onProgress(`${label}: done in ${seconds()} s`);
      resolve(output);
    });
  });
}

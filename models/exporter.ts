import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { modelsFolder, type FamilyName } from './catalog.js';

/** Why an exporter gave up; `code` is stable. */
export class ExportFailed extends Error {
  override readonly name = 'ExportFailed';
  constructor(
    readonly code: string,
    message: string,
    readonly remedy: string,
  ) {
    super(message);
  }
}

/** What an exporter is asked for. */
export interface ExportRequest {
  /** Python of the family's environment. */
  python: string;
  family: FamilyName;
  id: string;
  /** Name that the official loader knows, or a checkpoint file in the official format. */
  weights: { official: string } | { checkpoint: string };
  /** JSON file with what is known about the potential, fields as in the catalog. */
  entryFile: string;
  layer?: string | undefined;
  settings: Readonly<Record<string, string>>;
  /** Extended XYZ file of structures to compare with the official code on. */
  structuresFile: string;
  /** Receives `model.onnx`, `card.json`, `reference.npz` and `reference.extxyz`. */
  outputFolder: string;
  onProgress: (line: string) => void;
  signal?: AbortSignal | undefined;
}

/** One line of an exporter's stdout. */
const messageSchema = z.union([
  z.object({ progress: z.string() }),
  z.object({ done: z.record(z.string(), z.unknown()) }),
  z.object({ error: z.object({ code: z.string(), message: z.string(), remedy: z.string() }) }),
]);

/** Characters of stderr shown where an exporter dies without a word. */
const SHOWN_STDERR = 1500;

/**
 * Runs an exporter (`models/export/`, Python) in a process of its own: official packages print, pickled checkpoints run code,
 * and none of it shares memory with koine.
 * @throws ExportFailed with the exporter's code, message and remedy
 * @throws the reason of `signal`, when it ends the exporter
 */
export async function runExporter(request: ExportRequest): Promise<void> {
  const { weights, layer, settings, signal } = request;
  const options = {
    family: request.family,
    id: request.id,
    entry: request.entryFile,
    ...weights,
    ...(layer === undefined ? {} : { layer }),
    structures: request.structuresFile,
    output: request.outputFolder,
  };
  const args = [
    '-m',
    'koine_export',
    ...Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]),
    ...Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`]),
  ];
  const env = {
    ...process.env,
    PYTHONPATH: join(modelsFolder(), 'export'),
    PYTHONDONTWRITEBYTECODE: '1',
    OMP_NUM_THREADS: '1', // small crystals gain nothing from threads, and sums keep their order: the same reference everywhere
  };
  const child = spawn(request.python, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const stop = () => child.kill();
  signal?.addEventListener('abort', stop, { once: true });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr = (stderr + chunk.toString()).slice(-SHOWN_STDERR)));
  const ended = new Promise<string>((resolve) => {
    child.on('error', (error) => resolve(`it cannot be started: ${error.message}`));
    child.on('close', (code, killed) => resolve(killed ? `it was ended by ${killed}` : `it exited with ${code}`));
  });

  let last: z.output<typeof messageSchema> | undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    last = parseLine(line);
    if (last && 'progress' in last) request.onProgress(last.progress);
  }
  const how = await ended;
  signal?.removeEventListener('abort', stop);
  signal?.throwIfAborted();
  if (last && 'done' in last) return;
  if (last && 'error' in last) throw new ExportFailed(last.error.code, last.error.message, last.error.remedy);
  throw new ExportFailed(
    'export_failed',
    `the exporter of ${request.family} ended without an answer: ${how}${stderr.trim() ? `:\n${stderr.trim()}` : ''}`,
    'the end of its output says why; too little memory ends a process without a word',
  );
}

function parseLine(line: string): z.output<typeof messageSchema> | undefined {
  try {
    return messageSchema.parse(JSON.parse(line));
  } catch {
    return undefined; // a package that writes past the exporter's own stdout
  }
}

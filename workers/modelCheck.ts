import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Settings } from '../config/settings.js';
import type { Provider } from '../models/graphBatch.js';
import { InferencePool } from '../models/inferencePool.js';
import { ModelRefused } from '../models/card.js';
import { readReference } from '../models/parity.js';
import { paritySet } from '../models/paritySet.js';
import { verifyModel, type Check } from '../models/verify.js';
import { readStructures } from '../structures/readers/read.js';
import { localSources } from '../structures/sources.js';
import type { Structure } from '../structures/structure.js';
import { openModels } from './dependencies.js';

/** What {@link checkModel} checks, on what. */
export interface ModelCheckOptions {
  stores: readonly string[];
  /**
   * File, folder or glob of structures; by default `reference.extxyz` of the model's folder, else `dev.extxyz` in the first
   * store that has one, else the structures that exports are compared on.
   */
  structures?: string | undefined;
  /** What the official code gives for them; by default `reference.npz` or `reference-<stem of the structures>.npz` beside the network. */
  reference?: string | undefined;
  provider: Provider;
}

/** The checks of a model and what they were made on. */
export interface ModelCheck {
  checks: Check[];
  structures: { path: string; count: number; rejected: number };
  reference: string | null;
}

/**
 * Runs every check of `models/verify.ts` on a model of the stores.
 * @throws ModelRefused for an unknown model, a damaged file, or no structures to check on
 */
export async function checkModel(settings: Settings, id: string, options: ModelCheckOptions): Promise<ModelCheck> {
  const model = await openModels(settings, options.stores).resolve(id);
  const beside = (name: string) => join(dirname(model.onnxPath), name);
  const path =
    options.structures ??
    [beside('reference.extxyz'), ...options.stores.map((store) => join(store, 'dev.extxyz'))].find((file) =>
      existsSync(file),
    );
  const { structures, rejected } = path ? await readAll(path) : { structures: paritySet(), rejected: 0 };
  if (structures.length === 0) throw new ModelRefused(`${path} holds no structure that koine can read`);

  const stem = path ? basename(path).replace(/\..*$/, '') : '';
  const usual = [...(stem === 'reference' ? [beside('reference.npz')] : []), beside(`reference-${stem}.npz`)];
  const reference = options.reference ?? usual.find((file) => existsSync(file)) ?? null;
  const native = reference ? await readReference(await readFile(reference), reference) : undefined;
  const pool = new InferencePool({ threads: settings.threads, provider: options.provider });
  try {
    const checks = await verifyModel(pool, model, structures, native);
    return {
      checks,
      structures: { path: path ?? "koine's own parity set", count: structures.length, rejected },
      reference,
    };
  } finally {
    await pool.close();
  }
}

async function readAll(path: string): Promise<{ structures: Structure[]; rejected: number }> {
  const structures: Structure[] = [];
  let rejected = 0;
  for await (const source of localSources(path))
    for await (const item of readStructures(source))
      if ('structure' in item) structures.push(item.structure);
      else rejected++;
  return { structures, rejected };
}

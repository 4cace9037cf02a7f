import { sha256Hex } from '../../datasets/digest.js';
import * as keys from '../../datasets/keys.js';
import type { AtomId } from '../../latent/base/atomId.js';
import { invalidInput } from '../engine/failures.js';
import type { PlannedRun } from '../run/openRun.js';
import { findStructures } from '../snapshot/atoms.js';
import { byteSource } from '../snapshot/sourceFiles.js';

/** Wrong lines that an error names. */
const NAMED = 3;

/**
 * Reads the rows that a spec lists in a file, checks them against the snapshot, and keeps a copy in the run's own store, so that all workers see what the
 * plan saw.
 * @returns sha256 of the copy: canonical lines in the order of the file
 * @throws a final failure for a line that is no "<material_id>:<atom_index>", an atom named twice, or one that the snapshot does not have
 */
export async function keepListedRows(run: PlannedRun, file: string): Promise<string> {
  const chunks: Uint8Array[] = [];
  try {
    for await (const chunk of byteSource(run, { name: file, location: file }).open()) chunks.push(chunk);
  } catch (error) {
    run.work.signal.throwIfAborted();
    throw invalidInput(`similarity.rows: ${file} cannot be read (${(error as Error).message})`);
  }
  const atoms = parseRows(Buffer.concat(chunks).toString('utf8'), file);
  const structures = await findStructures(
    run,
    atoms.map(({ materialId }) => materialId),
  );
  const sizeOf = (materialId: string) => structures.get(materialId)?.atomicNumbers.length;
  const unknown = atoms.filter(({ materialId, atomIndex }) => !(atomIndex < (sizeOf(materialId) ?? 0)));
  if (unknown.length > 0) {
    const named = unknown.slice(0, NAMED).map(({ materialId, atomIndex }) => {
      const size = sizeOf(materialId);
      return `${materialId}:${atomIndex} (${size === undefined ? 'no such structure' : `${size} atoms, counted from 0`})`;
    });
    throw invalidInput(
      `similarity.rows: ${file} names ${unknown.length} of ${atoms.length} atoms that the snapshot does not have: ${named.join(', ')}`,
    );
  }
  const lines = Buffer.from(atoms.map(({ materialId, atomIndex }) => `${materialId}:${atomIndex}\n`).join(''));
  const sha256 = sha256Hex(lines);
  await run.store.putIfAbsent(keys.listedRows(sha256), lines, run.work);
  return sha256;
}

/** The rows that a plan kept. */
export async function readListedRows(run: PlannedRun, sha256: string): Promise<AtomId[]> {
  const key = keys.listedRows(sha256);
  return parseRows(Buffer.from(await run.get(key)).toString('utf8'), key);
}

/** Atoms of a list, a line each; empty lines and lines that begin with # say nothing. @throws a final failure */
export function parseRows(text: string, where: string): AtomId[] {
  const atoms: AtomId[] = [];
  const lines = new Map<string, number>();
  for (const [at, raw] of text.split('\n').entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const [, materialId, digits] = /^(.+):(\d{1,9})$/.exec(line) ?? [];
    if (materialId === undefined)
      throw invalidInput(
        `similarity.rows: line ${at + 1} of ${where} is ${JSON.stringify(line.slice(0, 80))}; it must look like "<material_id>:<atom_index>"`,
      );
    const atom = { materialId, atomIndex: Number(digits) };
    const name = `${materialId}:${atom.atomIndex}`;
    const before = lines.get(name);
    if (before !== undefined)
      throw invalidInput(`similarity.rows: ${where} names ${name} in line ${before} and line ${at + 1}; name it once`);
    lines.set(name, at + 1);
    atoms.push(atom);
  }
  if (atoms.length === 0)
    throw invalidInput(`similarity.rows: ${where} names no atom; give a line "<material_id>:<atom_index>" each`);
  return atoms;
}

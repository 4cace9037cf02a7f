import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { readStructures } from '../structures/readers/read.js';
import { localSources } from '../structures/sources.js';

/** Anchors published as numbers: atoms counted from 0 through all structures of a file, in its order. */
const numberedAnchors = z.object({
  dataset: z.string(),
  source: z.string(),
  flat_atom_index: z.array(z.int().nonnegative()).min(1),
  /** What the numbers count through; a file of another size is another data set. */
  structures: z.int().positive().optional(),
  atoms: z.int().positive().optional(),
});

/**
 * Names numbered anchors as specs do.
 * @param file JSON with `flat_atom_index`, and the `structures` and `atoms` of the data set
 * @param path the data set: a file, folder or glob, as a run would read it
 * @returns `material_id:atom_index`, in the order of the numbers
 * @throws Error where the data set is not the one that was numbered
 */
export async function nameAnchors(file: string, path: string): Promise<string[]> {
  const parsed = numberedAnchors.safeParse(JSON.parse(await readFile(file, 'utf8')));
  if (!parsed.success) throw new Error(`${file}: ${z.prettifyError(parsed.error)}`);
  const { flat_atom_index: numbers, structures: wantedStructures, atoms: wantedAtoms, dataset } = parsed.data;
  const wanted = new Set(numbers);
  const names = new Map<number, string>();
  let [structures, atoms] = [0, 0];
  for await (const source of localSources(path))
    for await (const item of readStructures(source, { maxAtoms: Infinity })) {
      if ('rejection' in item)
        throw new Error(
          `${path}: ${item.rejection.materialId} cannot be read (${item.rejection.message}); numbers would shift behind it`,
        );
      const { materialId, atomicNumbers } = item.structure;
      for (let atom = 0; atom < atomicNumbers.length; atom++)
        if (wanted.has(atoms + atom)) names.set(atoms + atom, `${materialId}:${atom}`);
      structures++;
      atoms += atomicNumbers.length;
    }
  if (structures !== (wantedStructures ?? structures) || atoms !== (wantedAtoms ?? atoms))
    throw new Error(
      `${path} holds ${structures} structures and ${atoms} atoms; ${file} counts through ${wantedStructures} and ${wantedAtoms}: ${dataset}`,
    );
  return numbers.map((number) => {
    const name = names.get(number);
    if (name === undefined) throw new Error(`${path} has ${atoms} atoms; ${file} names atom ${number}`);
    return name;
  });
}

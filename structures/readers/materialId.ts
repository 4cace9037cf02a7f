import { atomicNumberOf } from '../elements.js';

/**
 * Fields that name a structure, the most telling first. A record's own field wins over everything below.
 *
 * The whole rule, for every format:
 * 1. the first of these fields that the record (or its enclosing document, `properties` or `data`) has;
 * 2. else the key under which a JSON dictionary holds the document;
 * 3. else the CIF data name, where the file has several blocks and the name has not come before, or where the name says more
 *    than a formula or a program's default does (pymatgen writes `data_NaCl`, ASE `data_image0`: two files would collide);
 * 4. else the file stem for a file of one record, and `<file stem>-<index>`, counted from 0, for a file of several.
 */
const ID_FIELDS = ['material_id', 'id', 'mp_id', 'structure_id', 'task_id', 'entry_id', 'jid', 'immutable_id'];

/**
 * Identifier stated by a record's fields (step 1 of the rule above).
 *
 * @param fields of a document, a row or a frame's comment line
 * @returns the identifier, or undefined when none of the known fields holds a string or a number
 */
export function statedId(fields: Readonly<Record<string, unknown>>): string | undefined {
  for (const field of ID_FIELDS) {
    const value = fields[field];
    if (typeof value === 'string' && isIdentifier(value.trim())) return value.trim();
    if (typeof value === 'number' || typeof value === 'bigint') return String(value);
  }
  return undefined;
}

/** Ids end up in tables, keys and terminals: short and printable. Other values do not count as stated. */
export function isIdentifier(text: string): boolean {
  return text.length > 0 && text.length <= 200 && !/\p{Cc}/u.test(text);
}

/**
 * Name of a file without folders, `.gz` and extension. A file that VASP named is called by its folder: `mp-1/POSCAR` is `mp-1`.
 *
 * @param name path as a byte source shows it
 */
export function fileStem(name: string): string {
  const parts = name.split('/').filter((part) => part !== '');
  const base = (parts.at(-1) ?? name).replace(/\.gz$/i, '');
  if (/^(POSCAR|CONTCAR)$/.test(base) && parts.length > 1) return parts.at(-2)!;
  // An extension begins with a letter: the '.5' of 'Fe0.5Ni0.5' is none.
  return base.replace(/(?<=.)\.[A-Za-z][A-Za-z0-9]*$/, '');
}

/**
 * Whether a CIF data name alone tells structures of different files apart (step 3 of the rule above).
 *
 * @param name without `data_`
 */
export function isTellingDataName(name: string): boolean {
  if (
    /^(image|block|phase|structure|crystal|cell|global|cif|unnamed|untitled|(vesta|jcmc)_phase|findsym-output)?[-_]?\d{0,3}$/i.test(
      name,
    )
  )
    return false;
  const parts = name.match(/[A-Z][a-z]?|\d{1,3}(?:\.\d+)?|[()[\]]/g) ?? [];
  const isFormula =
    parts.join('') === name && parts.every((part) => !/^[A-Z]/.test(part) || atomicNumberOf(part) !== undefined);
  return !isFormula;
}

/**
 * Fields that name a structure, the most telling first. A record's own field wins over everything below.
 *
 * The whole rule, for every format:
 * 1. the first of these fields that the record (or its enclosing document, `properties` or `data`) has;
 * 2. else the key under which a JSON dictionary holds the document;
 * 3. else the CIF data name, where the file has several blocks and the name has not come before, or where the name is one of a
 *    database (`ICSD_18189`, `ABAVIJ01`): programs write formulas and defaults (`NaCl`, `image0`, `shelx`), and files would collide;
 * 4. else the file stem for a file of one record, and `<file stem>-<index>`, counted from 0, for a file of several. A file with a name
 *    that every folder has (`POSCAR`, `relaxed.cif`) is called by its folder, one of several files of a name by its path.
 */
const ID_FIELDS = [
  ...['material_id', 'id', 'mp_id', 'mat_id', 'structure_id', 'task_id', 'entry_id', 'jid', 'auid', 'immutable_id'],
];

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

/** Names that calculations give to the files and folders of every structure. */
const NAMED_BY_PROGRAMS =
  /^((POSCAR|CONTCAR|XDATCAR|CHGCAR|OUTCAR|vasprun)\b.*|(un)?relax(ed|ation)?\d*|struct(ure)?|geom(etry)?|cell|crystal|final|initial|init|opt(imi[sz]ed)?|traj(ectory)?|md|in(put)?s?|out(put)?s?|results?|static|scf|data|phonopy(_disp)?|phono3py(_disp)?)$/i;

/**
 * Name of a file without folders, `.gz` and extension; where that is a name that programs give (`mp-1/POSCAR`, `mp-1/relax/final.cif`)
 * the name of its folder: `mp-1`.
 *
 * @param name path as a byte source shows it
 */
export function fileStem(name: string): string {
  const parts = name.split('/').filter((part) => !/^\.{0,2}$/.test(part));
  const stems = parts.map((part, i) =>
    i === parts.length - 1 || /\.zip$/i.test(part) ? withoutExtension(part) : part,
  );
  return stems.findLast((stem) => !NAMED_BY_PROGRAMS.test(stem)) ?? stems.at(-1) ?? name;
}

function withoutExtension(base: string): string {
  const plain = base.replace(/\.gz$/i, '');
  // An extension begins with a letter: the '.5' of 'Fe0.5Ni0.5' is none.
  return plain.replace(/(?<=.)\.[A-Za-z][A-Za-z0-9]*$/, '');
}

/**
 * Names for the files of one source: their stems, and where several have the same, their paths without `.gz` and extension.
 *
 * @param names of all files
 */
export function distinctStems(names: readonly string[]): string[] {
  const stems = names.map(fileStem);
  const counts = new Map<string, number>();
  for (const stem of stems) counts.set(stem, (counts.get(stem) ?? 0) + 1);
  return names.map((name, i) => (counts.get(stems[i]) === 1 ? stems[i] : withoutExtension(name)));
}

/**
 * Whether a CIF data name alone tells structures of different files apart (step 3 of the rule above): it has a number of three digits
 * and more, as databases count, or is a reference code of the Cambridge Structural Database.
 *
 * @param name without `data_`
 */
export function isTellingDataName(name: string): boolean {
  return /(?<![\d.])\d{3,}/.test(name) || /^[A-Z]{6}(\d\d)?$/.test(name);
}

import { DEFAULT_MAX_ATOMS } from '../canonical.js';
import { elementOfSpecies } from '../elements.js';
import { LineReader } from './lines.js';
import { Rejected, parseNumber, quote, type FormatReader } from './record.js';

/** Columns of the type and of x in a line of `Atoms`, by style (https://docs.lammps.org/read_data.html). */
const STYLES: Readonly<Record<string, readonly [type: number, x: number]>> = {
  atomic: [1, 2],
  charge: [1, 3],
  bond: [2, 3],
  angle: [2, 3],
  molecular: [2, 3],
  full: [2, 4],
};

/**
 * @param lines of a file's beginning
 * @returns whether they are the header of a LAMMPS data file
 */
export function looksLikeLammpsData(lines: readonly string[]): boolean {
  const has = (pattern: RegExp) => lines.some((line) => pattern.test(line));
  return has(/^\s*\d+\s+atoms\s*$/) && has(/\b(xlo\s+xhi|avec)\b/);
}

/**
 * LAMMPS data whose types are named, by `Atom Type Labels` or by remarks behind the masses, in Å (units metal and real), periodic in
 * three directions: the file itself says neither.
 */
export const readLammpsData: FormatReader = async function* ({ bytes, limits }) {
  const lines = new LineReader(bytes);
  const maxAtoms = limits.maxAtoms ?? DEFAULT_MAX_ATOMS;
  const title = (await lines.next()) ?? '';
  const unit = /\bunits\s*=?\s*(\w+)/i.exec(title)?.[1];
  if (unit !== undefined && !/^(metal|real)$/i.test(unit))
    throw new Rejected('unparsable', `the units are ${quote(unit)}; metal or real (Å) are needed`);

  const box = { lo: [0, 0, 0], hi: [NaN, NaN, NaN], tilt: [0, 0, 0] };
  const vectors: number[][] = [];
  const names = new Map<string, string>();
  let count = NaN;
  let atoms: { species: number[]; cartesian: number[] } | undefined;
  for (let line = await lines.next(); line !== undefined; line = await lines.next()) {
    const [text, remark = ''] = line.split('#', 2).map((part) => part.trim());
    const words = text.split(/\s+/);
    const bounds = /\b([xyz])lo\s+\1hi$/.exec(text);
    if (/^\d+\s+atoms$/.test(text)) count = Number(words[0]);
    else if (bounds) {
      const axis = 'xyz'.indexOf(bounds[1]);
      box.lo[axis] = parseNumber(words[0], `${bounds[1]}lo`);
      box.hi[axis] = parseNumber(words[1], `${bounds[1]}hi`);
    } else if (/\bxy\s+xz\s+yz$/.test(text)) box.tilt = words.slice(0, 3).map((x) => parseNumber(x, 'tilt factor'));
    else if (/\b[abc]vec$/.test(text)) vectors.push(words.slice(0, 3).map((x) => parseNumber(x, words[3])));
    else if (/\borigin$/.test(text)) box.lo = words.slice(0, 3).map((x) => parseNumber(x, 'origin'));
    else if (text === 'Atom Type Labels') for await (const [type, name] of section(lines)) names.set(type, name);
    else if (text === 'Masses') {
      for await (const [type, , , comment] of section(lines))
        if (comment !== '' && !names.has(type)) names.set(type, comment.split(/\s+/)[0]);
    } else if (text === 'Atoms') {
      if (count > maxAtoms) throw new Rejected('too_large', `${count} atoms; at most ${maxAtoms} are accepted`);
      atoms = await readAtoms(lines, remark, names, count, box.lo);
    }
  }
  if (!atoms) throw new Rejected('unparsable', 'there is no section Atoms; positions are needed');
  const [lx, ly, lz] = box.hi.map((hi, axis) => hi - box.lo[axis]);
  const [xy, xz, yz] = box.tilt;
  const lattice = vectors.length === 3 ? vectors.flat() : [lx, 0, 0, xy, ly, 0, xz, yz, lz];
  yield { found: { lattice, ...atoms } };
};

/** Lines of a section up to the next blank one: three words and the remark. */
async function* section(
  lines: LineReader,
): AsyncGenerator<[first: string, second: string, third: string, remark: string]> {
  let isBegun = false;
  for (let line = await lines.next(); line !== undefined; line = await lines.next()) {
    const [text, remark = ''] = line.split('#', 2).map((part) => part.trim());
    if (text === '') {
      if (isBegun) return;
      continue;
    }
    isBegun = true;
    const [first = '', second = '', third = ''] = text.split(/\s+/);
    yield [first, second, third, remark];
  }
}

async function readAtoms(
  lines: LineReader,
  stated: string,
  names: ReadonlyMap<string, string>,
  count: number,
  origin: readonly number[],
): Promise<{ species: number[]; cartesian: number[] }> {
  const atoms: { id: number; element: number; position: number[] }[] = [];
  let style = STYLES[stated];
  for (let line = await lines.next(); line !== undefined && atoms.length < count; line = await lines.next()) {
    const words = line.split('#', 1)[0].trim().split(/\s+/);
    if (words[0] === '') continue;
    // The heading of the next section.
    if (/^[A-Z]/.test(words[0])) break;
    // Five columns can only be id, type and position.
    if (stated === '' && words.length === 5) style ??= STYLES.atomic;
    if (!style)
      throw new Rejected(
        'unparsable',
        `the style of Atoms is ${quote(stated)}; one of ${Object.keys(STYLES).join(', ')} is needed behind the heading, as in 'Atoms # charge'`,
      );
    const [type, x] = [words[style[0]], style[1]];
    const name = names.get(type) ?? (/^\d+$/.test(type) ? undefined : type);
    if (name === undefined)
      throw new Rejected(
        'unknown_element',
        `type ${quote(type)} has no name; a section Atom Type Labels or remarks behind the masses are needed`,
      );
    const element = elementOfSpecies(name);
    if (element === undefined)
      throw new Rejected(
        'unknown_element',
        `${quote(name)}, the name of type ${type}, is not an element; a chemical symbol is needed`,
      );
    const position = [0, 1, 2].map(
      (k) => parseNumber(words[x + k], `coordinate ${'xyz'[k]} of atom ${words[0]}`) - origin[k],
    );
    atoms.push({ id: Number(words[0]), element, position });
  }
  if (!(atoms.length === count))
    throw new Rejected('unparsable', `${atoms.length} of ${count} atoms; one line each is needed`);
  // LAMMPS writes atoms in the order of its processors.
  atoms.sort((a, b) => a.id - b.id);
  return { species: atoms.map(({ element }) => element), cartesian: atoms.flatMap(({ position }) => position) };
}

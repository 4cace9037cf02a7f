import { isUnknown, type CifBlock } from './cifSyntax.js';
import { Rejected, quote } from './record.js';
import { operationsOfHall } from './symmetry/hallSymbol.js';
import {
  LARGEST_MISFIT,
  meansOneOf,
  misfitOf,
  operationsFitting,
  settingsOf,
  type SpaceGroupName,
} from './symmetry/names.js';
import {
  MAX_OPERATIONS,
  OperationSet,
  generatedGroup,
  isSameType,
  isUnturned,
  parseOperation,
  product,
  type SymmetryOperation,
} from './symmetry/operations.js';

/** Lists of operations, by their tags. */
const OPERATIONS = ['_space_group_symop_operation_xyz', '_symmetry_equiv_pos_as_xyz'];
const GENERATORS = '_space_group_symop_generator_xyz';
/** https://www.iucr.org/resources/cif/dictionaries/cif_mag; time reversal moves no atoms, centrings with it are translations. */
const MAGNETIC_OPERATIONS = '_space_group_symop_magn_operation_xyz';
const MAGNETIC_CENTRINGS = '_space_group_symop_magn_centering_xyz';

/** Hermann-Mauguin symbols: of the setting first, that of the reference setting last. */
const SYMBOLS = ['', '_alt', '_full', '_short', '_extended', '_ref'].flatMap((end) => [
  `_space_group_name_h_m${end}`,
  `_symmetry_space_group_name_h_m${end}`,
]);
const HALL_SYMBOLS = ['_space_group_name_hall', '_symmetry_space_group_name_hall'];
const NUMBERS = [
  '_space_group_it_number',
  '_symmetry_int_tables_number',
  '_space_group_int_tables_number',
  '_symmetry_it_number',
];
const CODES = ['_space_group_it_coordinate_system_code', '_symmetry_it_coordinate_system_code'];

/** Items on symmetry that neither name a group nor list operations. */
const WITHOUT_GROUP =
  /^_(space_group|symmetry)_(id|entry_id|crystal_system|cell_setting|bravais_type|it_coordinate_system_code|symop_(id|sg_id)|equiv_(pos_site_)?id|transform_\w+)$/;

/** Items of modulated and composite crystals, whose atoms the cell of three axes does not tell. */
const MODULATED =
  /^_(space_group_(symop_)?(magn_)?ssg_|superspace_|space_group_superspace|cell_modulation|cell_subsystem|cell_wave_vector|atom_site_\w+_(fourier|legendre|special_func))/;

const modulations = new Map<string, boolean>();

function isModulation(tag: string): boolean {
  let known = modulations.get(tag);
  if (known === undefined) {
    if (modulations.size > 20_000) modulations.clear();
    modulations.set(tag, (known = MODULATED.test(tag)));
  }
  return known;
}

/**
 * Symmetry operations of a block: those it lists, else those of the space group it names, else none but the identity.
 *
 * What is listed must form a group that keeps the cell and is the one that is named; where two statements differ, neither is
 * believed.
 *
 * @param block of a CIF
 * @param lattice [9] row-major lattice vectors
 * @returns at least one operation, the identity among them
 * @throws Rejected `contradictory` or `unparsable`; the atoms of the block are not all of the crystal then
 */
export function operationsOfBlock(block: CifBlock, lattice: ArrayLike<number>): readonly SymmetryOperation[] {
  const modulated = block
    .tags()
    .find((tag) => isModulation(tag) && block.column(tag)!.some((value) => !isUnknown(value) && value !== '0'));
  if (modulated !== undefined)
    throw new Rejected(
      'unparsable',
      `${modulated} describes a modulated crystal; one periodic in three directions is needed`,
    );

  const listed = magneticOperations(block) ?? listedOperations(block);
  if (listed) {
    const misfit = misfitOf(new OperationSet(listed), lattice);
    if (misfit > LARGEST_MISFIT)
      throw new Rejected(
        'contradictory',
        `the symmetry operations change the cell's lengths or angles by ${(50 * misfit).toPrecision(2)} %; at most ${50 * LARGEST_MISFIT} % are accepted`,
      );
    return listed;
  }
  const name = nameOf(block);
  const said = name.hermannMauguin ?? name.hall ?? name.number;
  if (said !== undefined) return operationsFitting(knownSettings(name), String(said), lattice).operations();
  const unread = block
    .tags()
    .find(
      (tag) => /^_(space_group|symmetry)_/.test(tag) && !WITHOUT_GROUP.test(tag) && !isUnknown(block.column(tag)![0]),
    );
  if (unread !== undefined)
    throw new Rejected(
      'unparsable',
      `${unread} is the only statement of symmetry and not understood; operations as _space_group_symop_operation_xyz are needed`,
    );
  return IDENTITY_ALONE;
}

const IDENTITY_ALONE = [parseOperation('x,y,z')];

/** A symbol that is not known must not be passed over for a number, which says nothing of the setting. */
function knownSettings(name: SpaceGroupName) {
  const { hermannMauguin, hall, code } = name;
  if (
    hermannMauguin !== undefined &&
    settingsOf({ hermannMauguin, code }).length === 0 &&
    settingsOf({ hall }).length === 0
  )
    return [];
  return settingsOf(name);
}

function nameOf(block: CifBlock): SpaceGroupName {
  const first = (tags: string[]) => tags.map((tag) => block.item(tag)?.trim()).find((value) => value !== undefined);
  const number = first(NUMBERS);
  if (number !== undefined && !(Number(number) >= 1 && Number(number) <= 230))
    throw new Rejected('unparsable', `the number of the space group is ${quote(number)}; 1 to 230 are known`);
  return {
    hermannMauguin: first(SYMBOLS),
    hall: first(HALL_SYMBOLS),
    number: number === undefined ? undefined : Number(number),
    code: first(CODES),
  };
}

/** Lists that have been checked, by their text and the name beside them: the files of a database repeat them. */
const checked = new Map<string, readonly SymmetryOperation[]>();

function listedOperations(block: CifBlock): readonly SymmetryOperation[] | undefined {
  const texts = listOf(block, ...OPERATIONS);
  const generators = texts ? undefined : listOf(block, GENERATORS);
  if (!texts && !generators) return undefined;
  const name = nameOf(block);
  const key = [
    ...(texts ?? generators!),
    texts ? 'all' : 'some',
    name.hermannMauguin,
    name.hall,
    name.number,
    name.code,
  ].join('\n');
  const known = checked.get(key);
  if (known) return known;

  const operations = (texts ?? generators)!.map(parseOperation);
  const group = texts ? new OperationSet(operations) : generatedGroup(operations);
  if (!group?.isGroup()) throw noGroup(operations.length);
  requireNamed(group, name);
  const all = texts ? operations : group.operations();
  if (checked.size > 1000) checked.clear();
  checked.set(key, all);
  return all;
}

function noGroup(count: number): Rejected {
  return new Rejected(
    'contradictory',
    `the ${count} symmetry operations form no group: the product of two of them is missing; all operations are needed`,
  );
}

/** Operations listed beside a name must be those of the group that is named; a number counts where there is no symbol. */
function requireNamed(group: OperationSet, { hermannMauguin, hall, number, code }: SpaceGroupName): void {
  const refuse = (what: string) => {
    throw new Rejected(
      'contradictory',
      `the ${group.size} symmetry operations are not those of ${what}; a list that is whole and of the group named is needed`,
    );
  };
  const symbol = hermannMauguin === undefined ? [] : settingsOf({ hermannMauguin, code });
  if (symbol.length > 0 && !meansOneOf(group, symbol)) refuse(`the symbol ${quote(hermannMauguin)}`);
  const hallOperations = hall === undefined ? undefined : operationsOfHall(hall);
  if (hallOperations && isSameType(group, hallOperations) === false) refuse(`the Hall symbol ${quote(hall)}`);
  if (
    hermannMauguin === undefined &&
    !hallOperations &&
    number !== undefined &&
    !meansOneOf(group, settingsOf({ number }))
  )
    refuse(`space group ${number}`);
}

/** Every operation with every centring, in the cell of the moments. */
function magneticOperations(block: CifBlock): readonly SymmetryOperation[] | undefined {
  const texts = listOf(block, MAGNETIC_OPERATIONS);
  if (!texts) {
    const named = block
      .tags()
      .find((tag) => /^_space_group_magn_(number|name)/.test(tag) && !isUnknown(block.column(tag)![0]));
    if (named === undefined || listOf(block, ...OPERATIONS)) return undefined;
    throw new Rejected(
      'unparsable',
      `${named} names a magnetic group; its operations as ${MAGNETIC_OPERATIONS} are needed`,
    );
  }
  const operations = texts.map(parseOperation);
  const centrings = (listOf(block, MAGNETIC_CENTRINGS) ?? ['x,y,z']).map(parseOperation);
  if (!centrings.every(isUnturned))
    throw new Rejected('unparsable', `${MAGNETIC_CENTRINGS} has more than translations`);
  // The black and white centrings of a face-centred cube double its operations.
  if (operations.length * centrings.length > 2 * MAX_OPERATIONS)
    throw new Rejected(
      'too_large',
      `${operations.length * centrings.length} magnetic operations; at most ${2 * MAX_OPERATIONS} are accepted`,
    );
  const all = centrings.flatMap((centring) => operations.map((operation) => product(centring, operation)));
  if (!new OperationSet(all).isGroup()) throw noGroup(all.length);
  return all;
}

/** Values of the first of the tags that has any; where two of them have, they must agree. */
function listOf(block: CifBlock, ...tags: string[]): string[] | undefined {
  const lists = tags
    .map((tag) => block.column(tag)?.filter((value) => !isUnknown(value)) ?? [])
    .filter((list) => list.length > 0);
  const longest = Math.max(0, ...lists.map((list) => list.length));
  if (longest > MAX_OPERATIONS)
    throw new Rejected('too_large', `${longest} symmetry operations; at most ${MAX_OPERATIONS} are accepted`);
  if (
    lists.length > 1 &&
    !new OperationSet(lists[0].map(parseOperation)).equals(new OperationSet(lists[1].map(parseOperation)))
  )
    throw new Rejected('contradictory', `${tags.join(' and ')} list different operations; one list is needed`);
  return lists[0];
}

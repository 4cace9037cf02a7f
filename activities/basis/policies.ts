import { digestJson } from '../../datasets/digest.js';
import * as keys from '../../datasets/keys.js';
import type { PartEntry } from '../../datasets/manifest.js';
import type { BasisRecord } from '../../datasets/basis.js';
import { decodeEmbeddings } from '../../datasets/tables/embeddings.js';
import type { AtomId } from '../../latent/base/atomId.js';
import {
  lowestRanked as lowestOf,
  lowestRankedByElement,
  mergeLowestRanked,
  POLICY_SAMPLE,
  stratifiedAnchors,
  type ElementCandidates,
  type RankedAtom,
} from '../../latent/basis/anchorPolicies.js';
import { atomIds } from '../compute/atomIds.js';
import { embeddedPage } from '../embed/embedded.js';
import { invalidInput } from '../engine/failures.js';
import { itemMade, type ItemStage } from '../run/itemStage.js';
import type { PlannedRun } from '../run/openRun.js';
import { encodeRanked, lowestRanked, type RankedRows } from '../selection/ranked.js';
import { quarantined, referencePart, referenceRows } from './anchorRows.js';
import { anchorCount, referenceModel } from './namedBasis.js';

/** Raise it when the same page may give other candidates. */
const POLICY_VERSION = 1;

/** Candidates of one page for anchors that are not chosen by clustering. */
interface PolicyReceipt {
  outputs: {
    /** Atoms in order of rank, in blocks; of `element-stratified` JSON of the candidates of each element. */
    atoms: PartEntry | null;
    /** Their embeddings in that order, float32 [n, d] little-endian, where the policy looks at directions. */
    vectors: PartEntry | null;
  };
  ranked: RankedRows;
}

type Row = [materialId: string, atomIndex: number];

/** How a run picks anchors without clustering: how many atoms of lowest rank it looks at, and whether at their directions. */
function policyOf({ spec }: PlannedRun): { method: string; count: number; directions: boolean; seed: number } {
  const { method, extend, seed } = spec.basis;
  // What an existing basis leaves uncovered is found by direction, whatever the method.
  const directions = Boolean(extend) || method === 'farthest-point' || method === 'kmeans++';
  return {
    method: extend ? 'farthest-point' : method,
    count: directions ? POLICY_SAMPLE : anchorCount(spec),
    directions,
    seed,
  };
}

/** The candidates stage: of one page of the reference model the atoms of lowest rank, of structures that every model embedded. */
export const rankAtomsStage: ItemStage<'rankAtoms', PolicyReceipt> = {
  stage: 'rankAtoms',
  async key(run, { item }) {
    const { digest } = await embeddedPage(run, referenceModel(run.spec), item);
    const excluded = [...(await quarantined(run, item))].sort();
    const { sources } = run.spec.basis;
    const structures = sources.length > 0 ? run.page(item).digest : null;
    return digestJson({ version: POLICY_VERSION, ...policyOf(run), embeddings: digest, excluded, sources, structures });
  },
  async compute(run, { item }) {
    const { method, count, directions, seed } = policyOf(run);
    const { start, shards } = run.page(item);
    const excluded = await quarantined(run, item);
    const read = (shard: number) => referenceRows(run, shard, excluded);
    const byElement: ElementCandidates[][] = [];
    let held: (RankedAtom & { vector?: Float32Array })[] = [];
    for await (const rows of run.ahead(
      Array.from({ length: shards }, (_, i) => start + i),
      read,
    )) {
      if (!rows) continue;
      const { dim, vectors } = rows;
      if (method === 'element-stratified')
        byElement.push(lowestRankedByElement(atomIds(rows), rows.atomicNumbers, count, seed));
      else {
        const lowest = lowestOf(atomIds(rows), count, seed).map((atom) => ({
          ...atom,
          ...(directions && { vector: vectors.slice(atom.row * dim, (atom.row + 1) * dim) }),
        }));
        held = mergeLowestRanked([held, lowest], Math.min(held.length + lowest.length, count));
      }
      run.work.beat({ atoms: held.length });
    }
    const put = (bytes: Uint8Array, rows: number) => run.putPart(keys.basisWork, bytes, rows);
    if (method === 'element-stratified') {
      const atoms = await put(Buffer.from(JSON.stringify(byElement)), byElement.length);
      return { made: { outputs: { atoms, vectors: null }, ranked: { blocks: [], rows: 0 } } };
    }
    const ranked = encodeRanked<Row>(
      held.map(({ rank, materialId, atomIndex }) => ({ place: [rank, 0], row: [materialId, atomIndex] })),
      0,
    );
    const [atoms, vectors] = await Promise.all([
      held.length > 0 ? put(ranked.bytes, held.length) : null,
      directions && held.length > 0 ? put(joined(held.map(({ vector }) => vector!)), held.length) : null,
    ]);
    return { made: { outputs: { atoms, vectors }, ranked: ranked.ranked } };
  },
};

/**
 * Anchors without clustering. `random` and `element-stratified` rank atoms by the hash of their names; `farthest-point` and `kmeans++` look at
 * the directions of the {@link POLICY_SAMPLE} atoms of lowest rank.
 * @throws RangeError where there are fewer atoms
 */
export async function policyAnchors(run: PlannedRun): Promise<AtomId[]> {
  const { method, seed } = policyOf(run);
  const count = anchorCount(run.spec);
  const pages = await rankedPages(run);
  if (method === 'element-stratified') {
    const byElement = await run.many(pages, async ({ outputs }) =>
      outputs.atoms
        ? (JSON.parse(Buffer.from(await run.get(outputs.atoms.key)).toString('utf8')) as ElementCandidates[][])
        : [],
    );
    return stratifiedAnchors(byElement.flat(), count).map(atomId);
  }
  if (method === 'random') {
    const atoms = await lowestAtoms(run, pages, count);
    if (atoms.length < count)
      throw new RangeError(`basis: ${count} anchors wanted of ${atoms.length} atoms; ask for fewer`);
    return atoms.map(atomId);
  }
  const sample = await lowestAtoms(run, pages, POLICY_SAMPLE);
  const vectors = await vectorsOfLowest(run, pages, sample);
  const picked = await run.compute('spreadAnchors', {
    vectors,
    method: method as 'farthest-point' | 'kmeans++',
    anchors: count,
    seed,
    given: 0,
  });
  return Array.from(picked, (row) => atomId(sample[row]));
}

/**
 * The anchors of `base` and after them, one by one, the atom farthest in direction from all before it, among the
 * {@link POLICY_SAMPLE} atoms of lowest rank: whatever `base` leaves uncovered is covered first.
 */
export async function moreAnchors(run: PlannedRun, base: BasisRecord): Promise<AtomId[]> {
  const given = base.anchors.map(({ material_id, atom_index }) => ({ materialId: material_id, atomIndex: atom_index }));
  const pages = await rankedPages(run);
  const sample = await lowestAtoms(run, pages, POLICY_SAMPLE);
  const picked = await run.compute('spreadAnchors', {
    vectors: [...(await vectorsOf(run, given)), ...(await vectorsOfLowest(run, pages, sample))],
    method: 'farthest-point',
    anchors: anchorCount(run.spec),
    seed: run.spec.basis.seed,
    given: given.length,
  });
  return [...given, ...Array.from(picked.subarray(given.length), (row) => atomId(sample[row - given.length]))];
}

function rankedPages(run: PlannedRun): Promise<PolicyReceipt[]> {
  const model = referenceModel(run.spec);
  return run.many(run.snapshot.pages.keys(), (item) =>
    itemMade(rankAtomsStage, run, { stage: 'rankAtoms', run: run.ref, model, item }),
  );
}

/** The atoms of lowest rank of all pages, at most n, in order of rank. */
async function lowestAtoms(run: PlannedRun, pages: readonly PolicyReceipt[], n: number) {
  const read = (page: number, start: number, end: number) =>
    run.store.getRange(pages[page].outputs.atoms!.key, start, end, run.work);
  const ranked = pages.map((page) => page.ranked);
  const rows = await lowestRanked<Row>(ranked, n, read, (items, action) => run.many(items, action));
  return rows.map(({ row: [materialId, atomIndex], page }) => ({ materialId, atomIndex, page }));
}

/** Embeddings of {@link lowestAtoms}: of each page the first ones. */
async function vectorsOfLowest(run: PlannedRun, pages: readonly PolicyReceipt[], atoms: readonly { page: number }[]) {
  const { dim } = run.planned(referenceModel(run.spec));
  const counts = new Map<number, number>();
  for (const { page } of atoms) counts.set(page, (counts.get(page) ?? 0) + 1);
  const read = await run.many(counts, async ([page, count]) => {
    const bytes = await run.store.getRange(pages[page].outputs.vectors!.key, 0, 4 * dim * count, run.work);
    return [page, new Float32Array(new Uint8Array(bytes).buffer)] as const;
  });
  const vectors = new Map(read);
  const next = new Map<number, number>();
  return atoms.map(({ page }) => {
    const row = next.get(page) ?? 0;
    next.set(page, row + 1);
    return vectors.get(page)!.subarray(row * dim, (row + 1) * dim);
  });
}

/** The reference model's embeddings of named atoms. @throws a final failure for an atom that it has not embedded */
async function vectorsOf(run: PlannedRun, atoms: readonly AtomId[]): Promise<Float32Array[]> {
  const found = new Map<string, Float32Array>();
  const model = referenceModel(run.spec);
  const { dim } = run.planned(model);
  const shards = await run.shardsHolding(atoms.map(({ materialId }) => materialId));
  const read = async ([shard, wanted]: [number, Set<string>]) => {
    const { part } = await referencePart(run, shard);
    return part && { wanted, rows: decodeEmbeddings(await run.get(part.key)) };
  };
  for await (const shard of run.ahead(shards, read)) {
    if (!shard) continue;
    const { materialIds, offsets, vectors } = shard.rows;
    materialIds.forEach((id, s) => {
      if (shard.wanted.has(id)) found.set(id, vectors.slice(offsets[s] * dim, offsets[s + 1] * dim));
    });
  }
  return atoms.map(({ materialId, atomIndex }) => {
    const vector = found.get(materialId)?.subarray(atomIndex * dim, (atomIndex + 1) * dim);
    if (vector?.length !== dim)
      throw invalidInput(
        `basis.extend: '${materialId}:${atomIndex}' of that basis is not among the atoms that '${model}' embedded; ` +
          'extend a basis of these structures',
      );
    return vector;
  });
}

function joined(vectors: readonly Float32Array[]): Uint8Array {
  return Buffer.concat(
    vectors.map(({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength)),
  );
}

function atomId({ materialId, atomIndex }: AtomId): AtomId {
  return { materialId, atomIndex };
}

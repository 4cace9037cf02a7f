import type { AnchorAtom, BasisRecord } from '../../datasets/basis.js';
import { canonicalJsonBytes } from '../../datasets/canonicalJson.js';
import { digestJson } from '../../datasets/digest.js';
import * as keys from '../../datasets/keys.js';
import type { PartEntry } from '../../datasets/manifest.js';
import { findReceipt, writeReceipt } from '../../datasets/receipts.js';
import { anchorsTable } from '../../datasets/tables/anchors.js';
import { decodeEmbeddings } from '../../datasets/tables/embeddings.js';
import { decodeStructures } from '../../datasets/tables/structures.js';
import {
  tallyOf,
  type Tally,
  type BasisPass,
  type ItemTask,
  type PlanDocument,
  type RunRef,
} from '../run/documents.js';
import { DIRECT_THRESHOLD } from '../../latent/basis/leafClusters.js';
import { chooseAnchors, type Nomination } from '../../latent/basis/nomination.js';
import {
  explicitAnchors,
  lowestRanked,
  lowestRankedByElement,
  mergeLowestRanked,
  POLICY_SAMPLE,
  stratifiedAnchors,
  type ElementCandidates,
  type RankedAtom,
} from '../../latent/basis/anchorPolicies.js';
import type { AtomId } from '../../latent/base/atomId.js';
import { ThreadTaskFailed } from '../../threads/pool.js';
import { quarantined, referencePart, referenceRows, usableRows } from './anchorRows.js';
import { invalidInput } from '../engine/failures.js';
import type { Work } from '../engine/heartbeat.js';
import { anchorCount, basisParameters, extendedBasis, referenceModel } from './namedBasis.js';
import { atomIds } from '../compute/atomIds.js';
import type { Runs } from '../run/runs.js';
import { mergedMoments } from './statistics.js';

/** A candidate of a policy that looks at directions. */
type VectoredAtom = RankedAtom & { vector: Float32Array };

interface OnePart {
  outputs: { part: PartEntry | null };
}

/** The basis stage: from merged statistics to K anchors; no activity ever holds all atoms. */
export function basisStage(runs: Runs) {
  return {
    /** Scaling and principal components of the reference model's embeddings. */
    async fitProjection(run: RunRef, work: Work): Promise<{ key: string }> {
      const { spec } = await runs.plan(run);
      const store = runs.store(run);
      const moments = await mergedMoments(runs, run, referenceModel(spec), work);
      const task = { moments: await store.get(moments.key, work), center: spec.basis.center };
      const projection = await refuseTooMany(() =>
        runs.deps.compute.call('fitProjection', task, { signal: work.signal }),
      );
      const part = await runs.putPart(run, keys.basisWork, projection, 1, work);
      return {
        key: await runs.write(run, 'passes', {
          projection: part.key,
          threshold: DIRECT_THRESHOLD,
          centres: null,
          anchors: [],
        }),
      };
    },

    /** Compresses one shard to its BIRCH leaves. */
    async summarise(task: ItemTask, work: Work): Promise<Tally> {
      const { run, argument } = task;
      const store = runs.store(run);
      const pass = await runs.pass(run, argument);
      const { key } = await referencePart(runs, task, work);
      const receiptKey = digestJson({ embeddings: key, projection: pass.projection, threshold: pass.threshold });
      if (await findReceipt<OnePart>(store, 'summarise', receiptKey, work)) return tallyOf({ reused: 1 });
      if (work.lookupOnly) return tallyOf({ done: 0 });
      let leaves: PartEntry | null = null;
      const rows = await referenceRows(runs, task, work);
      if (rows) {
        const projection = await store.get(pass.projection, work);
        const bytes = await runs.deps.compute.call(
          'summarise',
          { x: rows.vectors, dim: rows.dim, projection, threshold: pass.threshold },
          { signal: work.signal },
        );
        leaves = await runs.putPart(run, keys.basisWork, bytes, 1, work);
      }
      await writeReceipt<OnePart>(store, 'summarise', receiptKey, { outputs: { part: leaves } }, work);
      return tallyOf({});
    },

    /** Clusters the leaves of all shards into K groups, or asks for summaries with a smaller threshold. */
    async clusterLeaves(
      run: RunRef,
      passKey: string,
      work: Work,
    ): Promise<{ status: 'clustered' | 'refit'; key: string }> {
      const plan = await runs.plan(run);
      const store = runs.store(run);
      const pass = await runs.pass(run, passKey);
      const leaves: Uint8Array[] = [];
      for (let item = 0; item < plan.snapshot.shards; item++) {
        const { key } = await referencePart(runs, { run, item }, work);
        const receiptKey = digestJson({ embeddings: key, projection: pass.projection, threshold: pass.threshold });
        const receipt = await findReceipt<OnePart>(store, 'summarise', receiptKey, work);
        if (!receipt) throw new Error(`activities: shard ${item} is not summarised`);
        if (receipt.outputs.part) leaves.push(await store.get(receipt.outputs.part.key, work));
        work.beat({ shard: item });
      }
      const { threshold } = pass;
      const task = { leaves, anchors: anchorCount(plan.spec), threshold, center: plan.spec.basis.center };
      const result = await refuseTooMany(() => runs.deps.compute.call('clusterLeaves', task, { signal: work.signal }));
      const next: BasisPass =
        result.status === 'refit'
          ? { ...pass, threshold: result.threshold }
          : { ...pass, centres: (await runs.putPart(run, keys.basisWork, result.centres, 1, work)).key };
      return { status: result.status, key: await runs.write(run, 'passes', next) };
    },

    /** Nominates this shard's atoms for each cluster, leaving out structures that some model of the run cannot embed. */
    async nominate(task: ItemTask, work: Work): Promise<Tally> {
      const { run, argument } = task;
      const store = runs.store(run);
      const pass = await runs.pass(run, argument);
      if (!pass.centres) throw new Error(`activities: pass ${argument} has no centres`);
      const { excluded, key } = await nomination(runs, task, work);
      if (await findReceipt<OnePart>(store, 'nominate', key, work)) return tallyOf({ reused: 1 });
      if (work.lookupOnly) return tallyOf({ done: 0 });
      let nominations: PartEntry | null = null;
      const rows = await referenceRows(runs, task, work, excluded);
      if (rows) {
        const [projection, centres] = await Promise.all([
          store.get(pass.projection, work),
          store.get(pass.centres, work),
        ]);
        const candidates = await runs.deps.compute.call(
          'nominate',
          { rows, projection, centres, anchors: pass.anchors },
          { signal: work.signal },
        );
        const bytes = canonicalJsonBytes(candidates.map((candidate) => ({ ...candidate })));
        nominations = await runs.putPart(run, keys.basisWork, bytes, candidates.length, work);
      }
      await writeReceipt<OnePart>(store, 'nominate', key, { outputs: { part: nominations } }, work);
      return tallyOf({});
    },

    /**
     * Decides the anchors, whatever the method, and writes the basis. When a cluster is left without an anchor (its atoms belong
     * to structures that some model cannot embed, or two clusters want one atom), it asks for another round of nominations.
     */
    async chooseAnchors(
      run: RunRef,
      passKey: string,
      work: Work,
    ): Promise<{ status: 'chosen'; basis: string } | { status: 'nominate'; key: string }> {
      const plan = await runs.plan(run);
      const { spec } = plan;
      const store = runs.store(run);
      const base = await extendedBasis(runs, run, spec, work);
      let chosen: AtomId[];
      if (base) chosen = await refuseTooMany(() => moreAnchors(runs, run, plan, base, work));
      else if (spec.basis.method === 'direct') {
        const anchors = await refuseTooMany(() => directAnchors(runs, run, plan, passKey, work));
        if (anchors.includes(null)) {
          const next: BasisPass = { ...(await runs.pass(run, passKey)), anchors };
          return { status: 'nominate', key: await runs.write(run, 'passes', next) };
        }
        chosen = anchors.filter((anchor) => anchor !== null);
      } else if (spec.basis.method === 'explicit') chosen = explicitAnchors(spec.basis.anchors as string[]);
      else chosen = await refuseTooMany(() => policyAnchors(runs, run, plan, work));
      const atoms = await nameElements(runs, run, plan, chosen, work);
      const content = {
        method: spec.basis.method,
        ...(base && { extends: base.basis }),
        reference_model: referenceModel(spec),
        anchors: atoms,
        centre: spec.coordinates.centre,
        snapshot: plan.snapshot.snapshot,
        parameters: basisParameters(spec),
      };
      const basis = digestJson(content).slice(0, 16);
      const document: BasisRecord = { basis, ...content };
      const rows = atoms.map((atom, anchor) => ({ anchor, ...atom }));
      await store.putIfAbsent(keys.anchors(basis), await anchorsTable.encode(rows), work);
      await store.putIfAbsent(keys.basisRecord(basis), canonicalJsonBytes(document), work);
      return { status: 'chosen', basis };
    },
  };
}

/** What a shard nominates from, and the key of the outcome. */
async function nomination(runs: Runs, task: ItemTask, work: Work) {
  const { key } = await referencePart(runs, task, work);
  const excluded = await quarantined(runs, task, work);
  const pass = task.argument; // names projection, threshold and centres by digest
  return { excluded, key: digestJson({ embeddings: key, pass, excluded: [...excluded].sort() }) };
}

/** The outcome of a round of nominations: an anchor a centre, or null where another round is needed. */
async function directAnchors(
  runs: Runs,
  run: RunRef,
  plan: PlanDocument,
  passKey: string,
  work: Work,
): Promise<(AtomId | null)[]> {
  const store = runs.store(run);
  const nominations: Nomination[][] = [];
  for (let item = 0; item < plan.snapshot.shards; item++) {
    const { key } = await nomination(runs, { run, model: null, item, argument: passKey }, work);
    const receipt = await findReceipt<OnePart>(store, 'nominate', key, work);
    if (!receipt) throw new Error(`activities: shard ${item} nominated nothing yet`);
    const { part } = receipt.outputs;
    if (part) nominations.push(JSON.parse(Buffer.from(await store.get(part.key, work)).toString()) as Nomination[]);
    work.beat({ shard: item });
  }
  const { anchors } = await runs.pass(run, passKey);
  return chooseAnchors<Nomination>(nominations, anchorCount(plan.spec), anchors as (Nomination | null)[]).map(
    (anchor) => anchor && { materialId: anchor.materialId, atomIndex: anchor.atomIndex },
  );
}

/**
 * The anchors of `base` and after them, one by one, the atom farthest in direction from all before it, among the
 * {@link POLICY_SAMPLE} atoms of lowest rank: whatever `base` leaves uncovered is covered first.
 */
async function moreAnchors(
  runs: Runs,
  run: RunRef,
  plan: PlanDocument,
  base: BasisRecord,
  work: Work,
): Promise<AtomId[]> {
  const given = base.anchors.map(({ material_id, atom_index }) => ({ materialId: material_id, atomIndex: atom_index }));
  const vectors = await vectorsOf(runs, run, plan, given, work);
  const sample = await lowestRankedAtoms(runs, run, plan, POLICY_SAMPLE, work);
  const picked = await runs.deps.compute.call(
    'spreadAnchors',
    {
      vectors: [...vectors, ...sample.map(({ vector }) => vector)],
      method: 'farthest-point',
      anchors: anchorCount(plan.spec),
      seed: plan.spec.basis.seed,
      given: given.length,
    },
    work,
  );
  return [...given, ...Array.from(picked.subarray(given.length), (row) => atomId(sample[row - given.length]))];
}

/** The reference model's embeddings of named atoms. @throws a final failure for an atom that it has not embedded */
async function vectorsOf(
  runs: Runs,
  run: RunRef,
  plan: PlanDocument,
  atoms: readonly AtomId[],
  work: Work,
): Promise<Float32Array[]> {
  const found = new Map<string, Float32Array>();
  const ids = [...new Set(atoms.map(({ materialId }) => materialId))];
  for (const [item, wanted] of await runs.shardsOf(run, plan, ids)) {
    const { part } = await referencePart(runs, { run, item }, work);
    if (!part) continue;
    const { materialIds, offsets, vectors, dim } = decodeEmbeddings(await runs.store(run).get(part.key, work));
    materialIds.forEach((id, s) => {
      if (wanted.has(id)) found.set(id, vectors.slice(offsets[s] * dim, offsets[s + 1] * dim));
    });
  }
  const dim = plan.models.find(({ id }) => id === referenceModel(plan.spec))!.dim;
  return atoms.map(({ materialId, atomIndex }) => {
    const vector = found.get(materialId)?.subarray(atomIndex * dim, (atomIndex + 1) * dim);
    if (vector?.length !== dim)
      throw invalidInput(
        `basis.extend: '${materialId}:${atomIndex}' of that basis is not among the atoms that ` +
          `'${referenceModel(plan.spec)}' embedded; extend a basis of these structures`,
      );
    return vector;
  });
}

/**
 * Policies without clustering. `random` and `element-stratified` rank atoms by the hash of their names; `farthest-point` and
 * `kmeans++` look at the directions of the {@link POLICY_SAMPLE} atoms of lowest rank.
 */
async function policyAnchors(runs: Runs, run: RunRef, plan: PlanDocument, work: Work): Promise<AtomId[]> {
  const { method, seed } = plan.spec.basis;
  const count = anchorCount(plan.spec);
  if (method === 'element-stratified') {
    const byElement: ElementCandidates[][] = [];
    for await (const rows of usableRows(runs, run, plan, work))
      byElement.push(lowestRankedByElement(atomIds(rows), rows.atomicNumbers, count, seed));
    return stratifiedAnchors(byElement, count).map(atomId);
  }
  if (method === 'random') {
    const ranked: RankedAtom[][] = [];
    for await (const rows of usableRows(runs, run, plan, work)) ranked.push(lowestRanked(atomIds(rows), count, seed));
    return mergeLowestRanked(ranked, count).map(atomId);
  }
  const sample = await lowestRankedAtoms(runs, run, plan, POLICY_SAMPLE, work);
  const vectors = sample.map(({ vector }) => vector);
  const task = { vectors, method: method as 'farthest-point' | 'kmeans++', anchors: count, seed, given: 0 };
  const picked = await runs.deps.compute.call('spreadAnchors', task, work);
  return Array.from(picked, (row) => atomId(sample[row]));
}

/** The `count` atoms of lowest rank, or all there are, with their embeddings. */
async function lowestRankedAtoms(
  runs: Runs,
  run: RunRef,
  plan: PlanDocument,
  count: number,
  work: Work,
): Promise<VectoredAtom[]> {
  let held: VectoredAtom[] = [];
  for await (const rows of usableRows(runs, run, plan, work)) {
    const { vectors, dim } = rows;
    const lowest = lowestRanked(atomIds(rows), count, plan.spec.basis.seed).map((atom) => ({
      ...atom,
      vector: vectors.slice(atom.row * dim, (atom.row + 1) * dim),
    }));
    held = mergeLowestRanked([held, lowest], Math.min(held.length + lowest.length, count));
  }
  return held;
}

/** Passes on what `choose` gives; numerics say by a RangeError that the data hold fewer anchors, which no retry mends. */
async function refuseTooMany<T>(choose: () => Promise<T>): Promise<T> {
  try {
    return await choose();
  } catch (error) {
    const tooMany = error instanceof ThreadTaskFailed ? error.errorName === 'RangeError' : error instanceof RangeError;
    throw tooMany ? invalidInput(`basis.anchors: ${(error as Error).message}`) : error;
  }
}

function atomId({ materialId, atomIndex }: AtomId): AtomId {
  return { materialId, atomIndex };
}

/** Adds the element of each atom from the snapshot. @throws a final failure for an atom that is not in it */
async function nameElements(
  runs: Runs,
  run: RunRef,
  plan: PlanDocument,
  atoms: readonly AtomId[],
  work: Work,
): Promise<AnchorAtom[]> {
  const store = runs.store(run);
  const wanted = new Map<string, Uint8Array | null>(atoms.map(({ materialId }) => [materialId, null]));
  for (const [item, ids] of await runs.shardsOf(run, plan, [...wanted.keys()])) {
    const shard = await runs.shard(run, plan.snapshot.snapshot, item);
    for (const row of decodeStructures(await store.get(shard.key, work)))
      if (ids.has(row.materialId)) wanted.set(row.materialId, row.atomicNumbers);
  }
  return atoms.map(({ materialId, atomIndex }) => {
    const atomicNumber = wanted.get(materialId)?.[atomIndex];
    if (atomicNumber === undefined)
      throw invalidInput(
        `basis.anchors: '${materialId}:${atomIndex}' is not an atom of the snapshot; name atoms of structures in the ` +
          'sources, counting from 0 in source order',
      );
    return { material_id: materialId, atom_index: atomIndex, atomic_number: atomicNumber };
  });
}

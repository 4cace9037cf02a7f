import type { AnchorAtom, BasisRecord } from '../../datasets/basis.js';
import { canonicalJsonBytes } from '../../datasets/canonicalJson.js';
import { digestJson } from '../../datasets/digest.js';
import * as keys from '../../datasets/keys.js';
import type { PartEntry } from '../../datasets/manifest.js';
import { anchorsTable } from '../../datasets/tables/anchors.js';
import type { AtomId } from '../../latent/base/atomId.js';
import { compareCodePoints } from '../../text/codePoints.js';
import { explicitAnchors } from '../../latent/basis/anchorPolicies.js';
import { DIRECT_THRESHOLD } from '../../latent/basis/leafClusters.js';
import { chooseAnchors, type Nomination } from '../../latent/basis/nomination.js';
import { ThreadTaskFailed } from '../../threads/pool.js';
import { invalidInput } from '../engine/failures.js';
import type { Work } from '../engine/heartbeat.js';
import type { BasisPass, ItemTask, PlanRef } from '../run/documents.js';
import { itemMade, type ItemStage } from '../run/itemStage.js';
import type { PlannedRun, RunMemory } from '../run/openRun.js';
import { findStructures } from '../snapshot/atoms.js';
import { quarantined, referencePart, referenceRows } from './anchorRows.js';
import { anchorCount, basisParameters, extendedBasis, referenceModel } from './namedBasis.js';
import { moreAnchors, policyAnchors } from './policies.js';
import { allMoments } from './statistics.js';

interface OnePart {
  outputs: { part: PartEntry | null };
}

/** The summarise stage: one shard of the reference model compressed to its BIRCH leaves. */
export const summariseStage: ItemStage<'summarise', OnePart> = {
  stage: 'summarise',
  async key(run, { item, pass }) {
    const { projection, threshold } = await run.pass(pass);
    return digestJson({ embeddings: (await referencePart(run, item)).key, projection, threshold });
  },
  async compute(run, { item, pass }) {
    const { projection, threshold } = await run.pass(pass);
    const rows = await referenceRows(run, item);
    if (!rows) return { made: { outputs: { part: null } } };
    const task = { x: rows.vectors, dim: rows.dim, projection: await run.get(projection), threshold };
    return { made: { outputs: { part: await run.putPart(keys.basisWork, await run.compute('summarise', task), 1) } } };
  },
};

/** The nominate stage: a shard's atoms for each cluster, leaving out structures that some model of the run cannot embed. */
export const nominateStage: ItemStage<'nominate', OnePart> = {
  stage: 'nominate',
  async key(run, { item, pass }) {
    const excluded = [...(await excludedOf(run, item))].sort();
    return digestJson({ embeddings: (await referencePart(run, item)).key, pass, excluded }); // `pass` names projection and centres by digest
  },
  async compute(run, { item, pass }) {
    const { projection, centres, anchors } = await run.pass(pass);
    if (!centres) throw new Error(`activities: pass ${pass} has no centres`);
    const rows = await referenceRows(run, item, await excludedOf(run, item));
    if (!rows) return { made: { outputs: { part: null } } };
    const task = { rows, projection: await run.get(projection), centres: await run.get(centres), anchors };
    const candidates = await run.compute('nominate', task);
    const bytes = canonicalJsonBytes(candidates.map((candidate) => ({ ...candidate })));
    return { made: { outputs: { part: await run.putPart(keys.basisWork, bytes, candidates.length) } } };
  },
};

/** Structures of a shard that some model of the run quarantined. */
async function excludedOf(run: PlannedRun, shard: number): Promise<Set<string>> {
  const [{ first, last }, ids] = await Promise.all([run.shard(shard), quarantined(run, run.pageOf(shard))]);
  return new Set([...ids].filter((id) => compareCodePoints(id, first) >= 0 && compareCodePoints(id, last) <= 0));
}

/** The basis stage: from merged statistics to K anchors; no activity ever holds all atoms. */
export function basisStage(memory: RunMemory) {
  return {
    /** Scaling and principal components of the reference model's embeddings. */
    async fitProjection(ref: PlanRef, work: Work): Promise<{ key: string }> {
      const run = await memory.planned(ref, work);
      const task = { moments: await allMoments(run), center: run.spec.basis.center };
      const projection = await refuseTooMany(() => run.compute('fitProjection', task));
      const part = await run.putPart(keys.basisWork, projection, 1);
      const pass: BasisPass = { projection: part.key, threshold: DIRECT_THRESHOLD, centres: null, anchors: [] };
      return { key: await run.write('passes', pass) };
    },

    /** Clusters the leaves of all shards into K groups, or asks for summaries with a smaller threshold. */
    async clusterLeaves(
      ref: PlanRef,
      key: string,
      work: Work,
    ): Promise<{ status: 'clustered' | 'refit'; key: string }> {
      const run = await memory.planned(ref, work);
      const pass = await run.pass(key);
      const leaves = (await partsOf(run, summariseStage, key)).filter((part) => part !== null);
      const { threshold } = pass;
      const task = { leaves, anchors: anchorCount(run.spec), threshold, center: run.spec.basis.center };
      const result = await refuseTooMany(() => run.compute('clusterLeaves', task));
      const next: BasisPass =
        result.status === 'refit'
          ? { ...pass, threshold: result.threshold }
          : { ...pass, centres: (await run.putPart(keys.basisWork, result.centres, 1)).key };
      return { status: result.status, key: await run.write('passes', next) };
    },

    /**
     * Decides the anchors, whatever the method, and writes the basis. When a cluster is left without an anchor (its atoms belong
     * to structures that some model cannot embed, or two clusters want one atom), it asks for another round of nominations.
     */
    async chooseAnchors(
      ref: PlanRef,
      pass: string,
      work: Work,
    ): Promise<{ status: 'chosen'; basis: string } | { status: 'nominate'; key: string }> {
      const run = await memory.planned(ref, work);
      const { spec } = run;
      const base = await extendedBasis(run);
      let chosen: AtomId[];
      if (base) chosen = await refuseTooMany(() => moreAnchors(run, base));
      else if (spec.basis.method === 'direct') {
        const anchors = await refuseTooMany(() => directAnchors(run, pass));
        if (anchors.includes(null))
          return { status: 'nominate', key: await run.write('passes', { ...(await run.pass(pass)), anchors }) };
        chosen = anchors.filter((anchor) => anchor !== null);
      } else if (spec.basis.method === 'explicit') chosen = explicitAnchors(spec.basis.anchors as string[]);
      else chosen = await refuseTooMany(() => policyAnchors(run));
      const atoms = await nameElements(run, chosen);
      const content = {
        method: spec.basis.method,
        ...(base && { extends: base.basis }),
        reference_model: referenceModel(spec),
        anchors: atoms,
        centre: spec.coordinates.centre,
        snapshot: run.snapshot.snapshot,
        parameters: basisParameters(spec),
      };
      const basis = digestJson(content).slice(0, 16);
      const document: BasisRecord = { basis, ...content };
      const rows = atoms.map((atom, anchor) => ({ anchor, ...atom }));
      await run.store.putIfAbsent(keys.anchors(basis), await anchorsTable.encode(rows), work);
      await run.store.putIfAbsent(keys.basisRecord(basis), canonicalJsonBytes(document), work);
      return { status: 'chosen', basis };
    },
  };
}

/** What a stage left of every shard, in order; nulls where there is nothing. */
function partsOf(run: PlannedRun, stage: typeof summariseStage | typeof nominateStage, pass: string) {
  const model = referenceModel(run.spec);
  const shards = Array.from({ length: run.snapshot.shards }, (_, item) => item);
  return run.many(shards, async (item) => {
    const task = { stage: stage.stage, run: run.ref, model, pass, item };
    const { part } = (await itemMade(stage as typeof summariseStage, run, task as ItemTask<'summarise'>)).outputs;
    run.work.beat({ shard: item });
    return part && run.get(part.key);
  });
}

/** The outcome of a round of nominations: an anchor a centre, or null where another round is needed. */
async function directAnchors(run: PlannedRun, pass: string): Promise<(AtomId | null)[]> {
  const nominations = (await partsOf(run, nominateStage, pass)).map((bytes) =>
    bytes ? (JSON.parse(Buffer.from(bytes).toString()) as Nomination[]) : [],
  );
  const { anchors } = await run.pass(pass);
  return chooseAnchors<Nomination>(nominations, anchorCount(run.spec), anchors as (Nomination | null)[]).map(
    (anchor) => anchor && { materialId: anchor.materialId, atomIndex: anchor.atomIndex },
  );
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

/** Adds the element of each atom from the snapshot. @throws a final failure for an atom that is not in it */
async function nameElements(run: PlannedRun, atoms: readonly AtomId[]): Promise<AnchorAtom[]> {
  const structures = await findStructures(
    run,
    atoms.map(({ materialId }) => materialId),
  );
  return atoms.map(({ materialId, atomIndex }) => {
    const atomicNumber = structures.get(materialId)?.atomicNumbers[atomIndex];
    if (atomicNumber === undefined)
      throw invalidInput(
        `basis.anchors: '${materialId}:${atomIndex}' is not an atom of the snapshot; name atoms of structures in the ` +
          'sources, counting from 0 in source order',
      );
    return { material_id: materialId, atom_index: atomIndex, atomic_number: atomicNumber };
  });
}

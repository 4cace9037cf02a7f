import { findBasis, type AnchorAtom, type BasisRecord } from '../datasets/basis.js';
import { readCatalog } from '../datasets/catalog.js';
import * as keys from '../datasets/keys.js';
import type { ObjectStore } from '../datasets/store/objectStore.js';
import { decodeAnchorVectors, type AnchorVectors } from '../datasets/tables/anchorVectors.js';
import { gramConditioning } from '../latent/basis/anchorQuality.js';
import { matrix } from '../latent/base/matrix.js';
import { elementSymbol } from '../structures/elements.js';

/** A basis as `koine basis show` tells of it. */
export interface BasisReport extends BasisRecord {
  /** Runs of the output whose later runs take it. */
  pinned_by: string[];
  /** Anchors an element, the commonest first. */
  elements: Record<string, number>;
  /** How well each model's own embeddings of the anchors span: see `gramConditioning`. */
  models: { model: string; dim: number; condition: number; effective_rank: number }[];
}

/** What two bases have in common, as `koine basis compare` tells. */
export interface BasisComparison {
  a: string;
  b: string;
  anchors: [number, number];
  /** Atoms that are anchors of both. */
  common: string[];
  /** Elements that anchors of one have and anchors of the other lack. */
  only_in_a: string[];
  only_in_b: string[];
  /** Mean over the anchors of one of the cosine to the nearest anchor of the other, in the models that have embedded both. */
  models: { model: string; a_to_b: number; b_to_a: number }[];
}

/** Tells of the basis of that digest or run. @returns undefined where the output has none */
export async function describeBasis(store: ObjectStore, digestOrRun: string): Promise<BasisReport | undefined> {
  const record = await findBasis(store, digestOrRun);
  if (!record) return undefined;
  const { runs } = await readCatalog(store);
  const models = await vectorsByModel(store, record.basis);
  return {
    ...record,
    pinned_by: Object.keys(runs)
      .filter((name) => runs[name].basis?.digest === record.basis)
      .sort(),
    elements: countElements(record.anchors),
    models: await Promise.all(
      [...models].map(async ([model, { vectors, dim }]) => {
        const { condition, effectiveRank } = await gramConditioning(matrix(vectors, record.anchors.length, dim));
        return { model, dim, condition, effective_rank: effectiveRank };
      }),
    ),
  };
}

/** Compares two bases of an output. @returns the name that the output does not know, if it lacks one */
export async function compareBases(
  store: ObjectStore,
  nameOfA: string,
  nameOfB: string,
): Promise<BasisComparison | { unknown: string }> {
  const [a, b] = await Promise.all([findBasis(store, nameOfA), findBasis(store, nameOfB)]);
  if (!a) return { unknown: nameOfA };
  if (!b) return { unknown: nameOfB };
  const [ofA, ofB] = await Promise.all([vectorsByModel(store, a.basis), vectorsByModel(store, b.basis)]);
  const namesInB = new Set(b.anchors.map(anchorName));
  const [elementsOfA, elementsOfB] = [a, b].map(({ anchors }) => Object.keys(countElements(anchors)));
  return {
    a: a.basis,
    b: b.basis,
    anchors: [a.anchors.length, b.anchors.length],
    common: a.anchors.map(anchorName).filter((name) => namesInB.has(name)),
    only_in_a: elementsOfA.filter((element) => !elementsOfB.includes(element)),
    only_in_b: elementsOfB.filter((element) => !elementsOfA.includes(element)),
    models: [...ofA].flatMap(([model, vectors]) => {
      const others = ofB.get(model);
      if (!others) return [];
      return [{ model, a_to_b: meanNearestCosine(vectors, others), b_to_a: meanNearestCosine(others, vectors) }];
    }),
  };
}

/** `material_id:atom_index`, as specs name an anchor. */
export function anchorName({ material_id, atom_index }: AnchorAtom): string {
  return `${material_id}:${atom_index}`;
}

function countElements(anchors: readonly AnchorAtom[]): Record<string, number> {
  const counts = new Map<string, number>();
  for (const { atomic_number } of anchors) {
    const symbol = elementSymbol(atomic_number);
    counts.set(symbol, (counts.get(symbol) ?? 0) + 1);
  }
  return Object.fromEntries([...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)));
}

/** Every model's own embeddings of the anchors; models ascending. */
async function vectorsByModel(store: ObjectStore, basis: string): Promise<Map<string, AnchorVectors>> {
  const found = new Map<string, AnchorVectors>();
  for await (const { key } of store.list(`${keys.basisLeaf(basis)}anchor_vectors/`)) {
    const model = /\/model=([^/]+)\/[^/]+\.parquet$/.exec(key)?.[1];
    if (model) found.set(model, decodeAnchorVectors(await store.get(key)));
  }
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function meanNearestCosine(from: AnchorVectors, to: AnchorVectors): number {
  const { dim } = from;
  const [left, right] = [unitRows(from), unitRows(to)];
  let sum = 0;
  for (let i = 0; i < left.length; i += dim) {
    let nearest = -1;
    for (let j = 0; j < right.length; j += dim) {
      let cosine = 0;
      for (let k = 0; k < dim; k++) cosine += left[i + k] * right[j + k];
      nearest = Math.max(nearest, cosine);
    }
    sum += nearest;
  }
  return (sum * dim) / left.length;
}

function unitRows({ vectors, dim }: AnchorVectors): Float64Array {
  const units = Float64Array.from(vectors);
  for (let i = 0; i < units.length; i += dim) {
    const row = units.subarray(i, i + dim);
    const norm = Math.hypot(...row);
    row.forEach((value, k) => (row[k] = value / norm));
  }
  return units;
}

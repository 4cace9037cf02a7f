import type { RunSpec } from '../../config/runSpec.js';
import { digestJson } from '../../datasets/digest.js';
import { findBasis, type BasisRecord } from '../../datasets/basis.js';
import { invalidInput } from '../engine/failures.js';
import type { OpenRun } from '../run/openRun.js';

/** Number of anchors K that a spec asks for. */
export function anchorCount({ basis }: RunSpec): number {
  return Array.isArray(basis.anchors) ? basis.anchors.length : basis.anchors;
}

/** The model whose embeddings choose the anchors. */
export function referenceModel({ basis, models }: RunSpec): string {
  return basis.reference_model ?? models[0];
}

/** What decides the anchors beside method, number, reference model and structures. */
export function basisParameters({ basis }: RunSpec): BasisRecord['parameters'] {
  const { center, seed, sources } = basis;
  return { center, seed, ...(sources.length > 0 && { sources }) };
}

/**
 * The basis this run must take: the one named by `basis.from`, else the one its name pinned, while method, K, reference model, parameters,
 * centre and what it extends are what the spec says; null when a basis is to be fitted.
 */
export async function pinnedBasis(run: OpenRun & { spec: RunSpec }): Promise<string | null> {
  const { spec } = run;
  const { from, extend, refit, method } = spec.basis;
  if (from) return (await existingBasis(run, 'from', from)).basis;
  if (refit) return null;
  const known = await findBasis(run.store, spec.name, run.work);
  if (!known) return null;
  const asked = Array.isArray(spec.basis.anchors) ? spec.basis.anchors : null;
  const named = known.anchors.map(({ material_id, atom_index }) => `${material_id}:${atom_index}`);
  const same =
    known.method === method &&
    known.anchors.length === anchorCount(spec) &&
    known.reference_model === referenceModel(spec) &&
    known.centre === spec.coordinates.centre &&
    digestJson(known.parameters) === digestJson(basisParameters(spec)) &&
    (asked === null || asked.every((name, i) => name === named[i]));
  if (!same) return null;
  // `extend` may name the run itself, whose pinned basis is then the longer one from its second time on.
  if (extend && extend !== spec.name && known.extends !== (await extendedBasis(run))?.basis) return null;
  return extend && !known.extends ? null : known.basis;
}

/**
 * The basis that `basis.extend` names, if it does.
 * @throws a final failure where there is none, or where a longer one could not keep its coordinates
 */
export async function extendedBasis(run: OpenRun & { spec: RunSpec }): Promise<BasisRecord | undefined> {
  const { spec } = run;
  const { extend } = spec.basis;
  if (!extend) return undefined;
  const base = await existingBasis(run, 'extend', extend);
  if (spec.coordinates.centre === 'anchors')
    throw invalidInput("basis.extend: with coordinates.centre 'anchors' every coordinate changes; fit a new basis");
  if (base.anchors.length >= anchorCount(spec))
    throw invalidInput(
      `basis.extend: basis ${base.basis} has ${base.anchors.length} anchors; ask for more than that in basis.anchors`,
    );
  return base;
}

/** The basis that `field` of the spec names by digest or run. @throws a final failure where it does not fit the spec */
async function existingBasis(
  run: OpenRun & { spec: RunSpec },
  field: 'from' | 'extend',
  name: string,
): Promise<BasisRecord> {
  const { spec } = run;
  const known = await findBasis(run.store, name, run.work);
  if (!known)
    throw invalidInput(
      `basis.${field}: there is no basis ${name} in ${run.output}; give the name of a run or of one of its folders bases/`,
    );
  if (known.centre !== spec.coordinates.centre)
    throw invalidInput(
      `basis.${field}: basis ${known.basis} has coordinates.centre '${known.centre}', the spec says '${spec.coordinates.centre}'; set it to the former`,
    );
  return known;
}

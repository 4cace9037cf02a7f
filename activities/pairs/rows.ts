import type { Space } from '../../config/names.js';
import type { AtomId } from '../../latent/base/atomId.js';
import { disjointRows } from '../../latent/samples/disjointRows.js';
import type { PlannedRun } from '../run/openRun.js';
import { candidatesOf, type Candidates } from '../selection/candidates.js';
import { gatheredVectors, type GatheredVectors } from '../selection/gather.js';
import { drawName } from '../selection/select.js';

/** A draw of at most `sample` rows (on either side). */
export interface DrawRequest {
  sample: number;
  seed: number;
  draw: number;
}

/** Some of the candidates: the rows of one sample. */
export interface Sample {
  rows: AtomId[];
  /** [n] Z of the rows. */
  atomicNumbers: Int32Array;
  candidates: Candidates;
  /** [n] positions of the rows among the candidates. */
  positions: Int32Array;
  /** [n] order in which the rows were taken, from 0: the rows of a smaller sample come before the others. */
  places: Int32Array;
}

/** Chooses rows for models that are looked at together: of structures that all of them embedded. */
export class RowChoice {
  constructor(
    private readonly run: PlannedRun,
    private readonly basis: string,
    private readonly models: readonly string[],
  ) {}

  /** Rows of one draw, in the order of the snapshot: see `latent/samples/rows.ts`. */
  async draw({ sample, seed, draw }: DrawRequest): Promise<Sample> {
    for (let factor = 1; ; factor *= 2) {
      const { candidates, atoms, complete } = await this.places(seed, draw, factor);
      if (atoms.length < sample && !complete) continue;
      return sampleOf(candidates, atoms.subarray(0, sample));
    }
  }

  /** Two disjoint samples of one draw with the same elements: see `disjointRows`. */
  async disjoint({ sample, seed, draw }: DrawRequest): Promise<[source: Sample, target: Sample]> {
    for (let factor = 1; ; factor *= 2) {
      const { candidates, atoms, complete } = await this.places(seed, draw, factor);
      const rows = Array.from(atoms, (atom) => candidates.atoms[atom]);
      const elements = atoms.map((atom) => candidates.atomicNumbers[atom]);
      const { source, target } = disjointRows(rows, elements, sample, seed, draw);
      if (source.length < sample && !complete) continue;
      const side = (taken: Int32Array) =>
        sampleOf(
          candidates,
          taken.map((row) => atoms[row]),
        );
      return [side(source), side(target)];
    }
  }

  /** The rows that the spec lists, less those that a model refused; taken in the order of the list. */
  async listed(): Promise<Sample> {
    const candidates = await candidatesOf(this.run);
    if (!candidates.listed) throw new Error('activities: the plan lists no rows');
    return sampleOf(candidates, await this.embedded(candidates, candidates.listed));
  }

  /** Vectors of sampled atoms in one of the models, float32 [n, dim], in the order of the sample. */
  async vectors(model: string, space: Space, { candidates, positions }: Sample) {
    const gathered = await this.gathered(model, candidates);
    const { vectors, dim } = gathered[space];
    const chosen = new Float32Array(positions.length * dim);
    positions.forEach((position, row) => {
      const from = gathered.rows[position] * dim;
      chosen.set(vectors.subarray(from, from + dim), row * dim);
    });
    return { vectors: chosen, dim };
  }

  /** Atoms of a draw that all models embedded, in order of place. */
  private async places(seed: number, draw: number, factor: number) {
    const candidates = await candidatesOf(this.run, factor);
    const drawn = candidates.draws.get(drawName(seed, draw));
    if (!drawn) throw new Error(`activities: draw ${draw} of seed ${seed} was not selected`);
    return { candidates, atoms: await this.embedded(candidates, drawn.atoms), complete: drawn.complete };
  }

  private async embedded(candidates: Candidates, atoms: Int32Array): Promise<Int32Array> {
    const gathered = await Promise.all(this.models.map((model) => this.gathered(model, candidates)));
    return atoms.filter((atom) => gathered.every(({ rows }) => rows[atom] >= 0));
  }

  private gathered(model: string, candidates: Candidates): Promise<GatheredVectors> {
    return gatheredVectors(this.run, model, this.basis, candidates);
  }
}

/** @param taken positions among the candidates, in the order in which they were taken */
function sampleOf(candidates: Candidates, taken: Int32Array): Sample {
  const places = Int32Array.from(taken.keys()).sort((a, b) => taken[a] - taken[b]);
  const positions = places.map((place) => taken[place]);
  return {
    rows: Array.from(positions, (position) => candidates.atoms[position]),
    atomicNumbers: Int32Array.from(positions, (position) => candidates.atomicNumbers[position]),
    candidates,
    positions,
    places,
  };
}

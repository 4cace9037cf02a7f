import { RowResamples } from '../statistics/bootstrap.js';
import type { NullKind } from '../../config/names.js';
import { permutations } from '../statistics/nulls.js';

/** Counts and seed of what is drawn at random about rows. */
export interface RowSetOptions {
  /** Permutations of a null. */
  permutations: number;
  /** Bootstrap replicates; 0 for none. */
  replicates: number;
  seed: number;
}

/** Rows of a draw, with the permutations and resamples of them that all metrics and spaces share. */
export class RowSet {
  readonly n: number;
  readonly resamples: RowResamples;
  private readonly made = new Map<NullKind, Int32Array[]>();

  /** @param elements atomic number of each row [n] */
  constructor(
    private readonly elements: Int32Array,
    private readonly options: RowSetOptions,
  ) {
    this.n = elements.length;
    this.resamples = new RowResamples(this.n, options.replicates, options.seed);
  }

  /** Permutations of a null: row i of x then stands beside row `permutation[i]` of y. */
  permutations(kind: NullKind): Int32Array[] {
    const known = this.made.get(kind);
    if (known) return known;
    const groups = kind === 'within_element' ? this.elements : undefined;
    const made = [...permutations(this.n, this.options.permutations, this.options.seed, groups)];
    this.made.set(kind, made);
    return made;
  }

  /** Some of the rows as a set of their own. */
  subset(rows: Int32Array): RowSet {
    return new RowSet(
      rows.map((row) => this.elements[row]),
      this.options,
    );
  }
}

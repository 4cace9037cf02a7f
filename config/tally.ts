// Shared by activities and workflows: plain numbers, no zod.

/** What a fan-out adds up while it runs. */
export interface Tally {
  done: number;
  reused: number;
  structures: number;
  atoms: number;
  quarantined: number;
  /** Seconds inside `session.run`, and inference-thread seconds around them. */
  runSeconds: number;
  threadSeconds: number;
}

/** A tally of nothing. */
export function emptyTally(): Tally {
  return { done: 0, reused: 0, structures: 0, atoms: 0, quarantined: 0, runSeconds: 0, threadSeconds: 0 };
}

/** Adds `part` to `total` in place. */
export function addTally(total: Tally, part: Tally): void {
  for (const key of Object.keys(total) as (keyof Tally)[]) total[key] += part[key];
}

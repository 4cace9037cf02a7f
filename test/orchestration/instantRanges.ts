// Workflows for tests of the fan-out alone: the real one over ranges that are done as soon as they may run.
import { condition } from '@temporalio/workflow';
import type { Tally } from '../../activities/run/documents.js';
import { emptyTally } from '../../config/tally.js';
import { obeyParent } from '../../workflows/control.js';
import type { RangeState } from '../../workflows/range.js';

export { fanOut } from '../../workflows/fanOut.js';

/** Stands in for the workflow of this name: obeys a pause like it; then every item is done and nothing ran. */
export async function range(state: RangeState): Promise<Tally> {
  obeyParent(state);
  await condition(() => !state.paused);
  return { ...emptyTally(), done: state.end - state.start };
}

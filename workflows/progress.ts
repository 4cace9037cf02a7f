import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { FanOutStage, StageName } from '../activities/run/documents.js';
import type { Tally } from '../config/tally.js';
import { QUERIES, SIGNALS, UPDATES } from '../config/names.js';

export type { FanOutStage, StageName, Tally };

/** State of one fan-out: a stage, for a model where it has one. */
export interface StageProgress {
  stage: FanOutStage;
  model: string | null;
  total: number;
  tally: Tally;
  state: 'running' | 'done' | 'failed';
}

/** Answer of the `progress` query of a run. */
export interface RunProgress {
  stage: StageName;
  paused: boolean;
  snapshot: string | null;
  stages: StageProgress[];
}

/** Asks a run, a stage or a range where it stands. */
export const progressQuery = defineQuery<RunProgress>(QUERIES.progress);
/** Stops feeding new work; what runs ends. */
export const pauseSignal = defineSignal(SIGNALS.pause);
/** Goes on after a pause. */
export const resumeSignal = defineSignal(SIGNALS.resume);
/** Changes the number of items in flight of every fan-out of a run. */
export const setWindowUpdate = defineUpdate<number, [number]>(UPDATES.setWindow);
/** Child to parent: my tally is now this. Sent a bounded number of times. */
export const tallySignal = defineSignal<[child: string, tally: Tally]>('tally');

/** The panel that the Temporal UI shows for a run: a sentence, then a table in words. */
export function renderDetails(progress: RunProgress): string {
  const lines = [
    `**${progress.paused ? 'Paused' : 'Stage'}: ${progress.stage}**${progress.snapshot ? `, snapshot \`${progress.snapshot}\`` : ''}`,
    '',
    '| stage | model | done | reused | structures | quarantined | state |',
    '|---|---|---:|---:|---:|---:|---|',
  ];
  for (const { stage, model, total, tally, state } of progress.stages) {
    // Only these two stages can refuse a structure; there 0 is news.
    const refused = stage === 'read' || stage === 'embed' ? tally.quarantined : '';
    lines.push(
      `| ${stage} | ${model ?? ''} | ${tally.done} of ${total} | ${tally.reused} | ${tally.structures || ''} | ${refused} | ${state} |`,
    );
  }
  return lines.join('\n');
}

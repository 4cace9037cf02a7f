import { STAGE_ITEMS } from '../config/names.js';
import type { RunProgress, StageProgress } from '../workflows/progress.js';
import type { Console } from './console.js';
import { formatAmount, formatCount, formatSeconds } from './format.js';

type StageName = StageProgress['stage'];

/** Shows where a run stands. */
export interface ProgressDisplay {
  /** A new answer of the progress query. */
  update(progress: RunProgress): void;
  /** A line that is no progress; it stays. */
  say(line: string): void;
  /** Removes what would be redrawn. Harmless when called again. */
  end(): void;
}

/** Seconds since some moment: `performance.now() / 1000`, or a test's clock. */
export type Clock = () => number;

/** Bars that redraw themselves in a terminal, plain lines anywhere else. */
export function progressDisplay(console: Console, clock: Clock = () => performance.now() / 1000): ProgressDisplay {
  return console.interactive ? new ProgressBars(console, clock) : new ProgressLines(console, clock);
}

/** Passes over the shards of the reference model that choose the basis: shown while they run, too many to keep. */
const BASIS_PASSES: ReadonlySet<StageName> = new Set<StageName>(['statistics', 'summarise', 'nominate']);
/** Seconds between two lines about fan-outs that are running, where nothing can be redrawn. */
const LINE_SECONDS = 10;
/** Below this the rate is noise. */
const RATE_SECONDS = 2;

/** Follows the rows of a run from answer to answer: which have ended since, and how fast the others are. */
class Rows {
  /** By index: rows are only ever appended. */
  private readonly seen: { since: number; done: number; structures: number; ended: boolean }[] = [];

  /** Rows that ended since the last call, with the seconds they were seen running. */
  ended(rows: readonly StageProgress[], now: number): string[] {
    const lines: string[] = [];
    rows.forEach((row, index) => {
      const seen = (this.seen[index] ??= {
        since: now,
        done: row.tally.done,
        structures: row.tally.structures,
        ended: false,
      });
      if (row.state === 'running' || seen.ended) return;
      seen.ended = true;
      if (row.state === 'failed' || !BASIS_PASSES.has(row.stage)) lines.push(describeEnd(row, now - seen.since));
    });
    return lines;
  }

  /** What a running row does a second, since it was first seen; null while that is noise. */
  rates(index: number, row: StageProgress, now: number): { items: number; structures: number } | null {
    const seen = this.seen[index];
    if (!seen || now - seen.since < RATE_SECONDS || row.tally.done === seen.done) return null;
    const seconds = now - seen.since;
    return {
      items: (row.tally.done - seen.done) / seconds,
      structures: (row.tally.structures - seen.structures) / seconds,
    };
  }
}

/** Redraws a block of bars, one a running fan-out, under lines that stay for those that ended. */
export class ProgressBars implements ProgressDisplay {
  private readonly rows = new Rows();
  private readonly started: number;
  private drawn = 0;
  private block: string[] = [];

  constructor(
    private readonly console: Console,
    private readonly clock: Clock,
  ) {
    this.started = clock();
  }

  update(progress: RunProgress): void {
    const now = this.clock();
    const ended = this.rows.ended(progress.stages, now);
    const width = this.console.columns - 1;
    const head = [
      progress.paused ? 'paused before the next step of' : 'stage',
      progress.stage,
      progress.snapshot ? `  snapshot ${progress.snapshot.slice(0, 12)}` : '',
      `  ${formatSeconds(now - this.started)}`,
    ].join(' ');
    this.block = [
      head,
      ...progress.stages.flatMap((row, index) =>
        row.state === 'running' ? [drawBar(row, this.rows.rates(index, row, now), width)] : [],
      ),
    ].map((line) => line.slice(0, width));
    this.redraw(ended);
  }

  say(line: string): void {
    this.redraw([line]);
  }

  end(): void {
    this.block = [];
    this.redraw([]);
  }

  /** One write, so that the terminal never shows a half-drawn block. */
  private redraw(above: readonly string[]): void {
    const erase = this.drawn > 0 ? `\x1b[${this.drawn}A\x1b[0J` : '';
    this.console.draw(erase + [...above, ...this.block].map((line) => `${line}\n`).join(''));
    this.drawn = this.block.length;
  }
}

/** Lines for logs: one a change of stage or an ended fan-out, and one every ten seconds about those that run. */
export class ProgressLines implements ProgressDisplay {
  private readonly rows = new Rows();
  private stage: string | undefined;
  private lastLine: number;

  constructor(
    private readonly console: Console,
    private readonly clock: Clock,
  ) {
    this.lastLine = clock();
  }

  update(progress: RunProgress): void {
    const now = this.clock();
    const lines = this.rows.ended(progress.stages, now);
    const stage = `${progress.paused ? 'paused before the next step of ' : ''}stage ${progress.stage}`;
    if (stage !== this.stage) lines.push(stage);
    this.stage = stage;
    const running = progress.stages.filter((row) => row.state === 'running');
    if (lines.length === 0 && running.length > 0 && now - this.lastLine >= LINE_SECONDS)
      lines.push(running.map(describeRunning).join('; '));
    if (lines.length > 0) this.lastLine = now;
    for (const line of lines) this.console.say(line);
  }

  say(line: string): void {
    this.console.say(line);
  }

  end(): void {}
}

const BAR_CELLS = 24;
const LABEL_CELLS = 34;

/** `embed chgnet-0.3.0   ━━━━━━━╺────  12 of 30 shards  3,210 structures  210 structures/s  1 min 02 s left`. */
function drawBar(row: StageProgress, rates: { items: number; structures: number } | null, width: number): string {
  const { total, tally } = row;
  const filled = total > 0 ? Math.min(BAR_CELLS, Math.floor((BAR_CELLS * tally.done) / total)) : 0;
  const counts = [`${formatCount(tally.done)} of ${formatAmount(total, STAGE_ITEMS[row.stage])}`];
  if (tally.quarantined > 0) counts.push(`${formatCount(tally.quarantined)} quarantined`);
  if (rates && rates.structures >= 1) counts.push(`${formatCount(Math.round(rates.structures))} structures/s`);
  if (rates && rates.items > 0 && tally.done < total)
    counts.push(`${formatSeconds((total - tally.done) / rates.items)} left`);
  const label = nameOf(row)
    .slice(0, LABEL_CELLS)
    .padEnd(Math.min(LABEL_CELLS, Math.floor(width / 3)));
  return `${label} ${'█'.repeat(filled)}${'░'.repeat(BAR_CELLS - filled)} ${counts.join('  ')}`;
}

function describeRunning(row: StageProgress): string {
  const { done, quarantined } = row.tally;
  const note = quarantined > 0 ? `, ${formatCount(quarantined)} quarantined` : '';
  return `${nameOf(row)}: ${formatCount(done)} of ${formatAmount(row.total, STAGE_ITEMS[row.stage])}${note}`;
}

function describeEnd(row: StageProgress, seconds: number): string {
  const { tally } = row;
  if (row.state === 'failed')
    return `✗ ${nameOf(row)}: failed after ${formatCount(tally.done)} of ${formatAmount(row.total, STAGE_ITEMS[row.stage])}`;
  const parts = [formatAmount(row.total, STAGE_ITEMS[row.stage])];
  if (tally.reused > 0) parts.push(`${formatCount(tally.reused)} reused`);
  if (tally.structures > 0) parts.push(formatAmount(tally.structures, 'structure'));
  if (tally.atoms > 0) parts.push(formatAmount(tally.atoms, 'atom'));
  if (tally.quarantined > 0) parts.push(`${formatCount(tally.quarantined)} quarantined`);
  if (seconds > 0) parts.push(formatSeconds(seconds));
  return `✓ ${nameOf(row)}: ${parts.join(', ')}`;
}

function nameOf({ stage, model }: StageProgress): string {
  return model ? `${stage} ${model}` : stage;
}

import { describe, expect, test } from 'vitest';
import { progressDisplay } from '../../cli/progress.js';
import { emptyTally } from '../../config/tally.js';
import type { RunProgress, StageProgress } from '../../workflows/progress.js';
import { recordedConsole } from './support.js';

const row = (
  stage: StageProgress['stage'],
  model: string | null,
  total: number,
  tally: Partial<StageProgress['tally']>,
  state = 'running',
) => ({
  stage,
  model,
  total,
  tally: { ...emptyTally(), ...tally },
  state: state as 'running' | 'done' | 'failed',
});
const progress = (stage: RunProgress['stage'], stages: RunProgress['stages'] = [], paused = false): RunProgress => ({
  stage,
  paused,
  snapshot: null,
  stages,
});

/** A display with a clock that the test moves. */
function display(options: { interactive: boolean; columns?: number }) {
  const console = recordedConsole(options);
  let now = 0;
  const shown = progressDisplay(console, () => now);
  return {
    console,
    shown,
    at: (seconds: number, answer: RunProgress) => {
      now = seconds;
      console.said = '';
      shown.update(answer);
      return console.said;
    },
  };
}

describe('where nothing can be redrawn', () => {
  test('a change of stage is one line, the same stage again is none', () => {
    const { at } = display({ interactive: false });
    expect(at(0, progress('snapshot'))).toBe('stage snapshot\n');
    expect(at(1, progress('snapshot'))).toBe('');
    expect(at(2, progress('plan'))).toBe('stage plan\n');
  });

  test('running fan-outs share a line every ten seconds', () => {
    const { at } = display({ interactive: false });
    const answer = (done: number) =>
      progress('embed', [row('embed', 'a', 30, { done }), row('embed', 'b', 30, { done: 1, quarantined: 2 })]);
    at(0, answer(0));
    expect(at(9, answer(5))).toBe('');
    expect(at(10, answer(6))).toBe('embed a: 6 of 30 shards; embed b: 1 of 30 shards, 2 quarantined\n');
    expect(at(11, answer(7))).toBe('');
  });

  test('a fan-out that ended is told once, with what it did and how long it was seen to take', () => {
    const { at } = display({ interactive: false });
    at(0, progress('embed', [row('embed', 'a', 3, { done: 1 })]));
    const tally = { done: 3, reused: 1, structures: 2485, atoms: 25_000, quarantined: 4 };
    const ended = progress('embed', [row('embed', 'a', 3, tally, 'done')]);
    expect(at(12, ended)).toBe('✓ embed a: 3 shards, 1 reused, 2,485 structures, 25,000 atoms, 4 quarantined, 12 s\n');
    expect(at(13, ended)).toBe('');
  });

  test('one that failed says how far it came', () => {
    const { at } = display({ interactive: false });
    const said = at(0, progress('embed', [row('embed', 'a', 30, { done: 4 }, 'failed')]));
    expect(said).toContain('✗ embed a: failed after 4 of 30 shards\n');
  });

  test('the many passes of the basis leave no lines', () => {
    const { at } = display({ interactive: false });
    at(0, progress('basis'));
    const passes = ['statistics', 'summarise', 'summarise', 'nominate'] as const;
    expect(
      at(
        1,
        progress(
          'basis',
          passes.map((stage) => row(stage, 'a', 5, { done: 5 }, 'done')),
        ),
      ),
    ).toBe('');
  });

  test('a pause is told', () => {
    const { at } = display({ interactive: false });
    at(0, progress('embed'));
    expect(at(1, progress('embed', [], true))).toBe('paused before the next step of stage embed\n');
  });
});

describe('in a terminal', () => {
  const plain = (text: string) => text.replace(/\x1b\[\d+[A-K]/g, '');

  test('every running fan-out has a bar that fills', () => {
    const { at } = display({ interactive: true });
    const cells = (done: number) =>
      [...at(done, progress('embed', [row('embed', 'a', 24, { done })]))].filter((cell) => cell === '█').length;
    expect([0, 6, 12, 24].map(cells)).toEqual([0, 6, 12, 24]);
  });

  test('the rate and the time left come from what was seen', () => {
    const { at } = display({ interactive: true, columns: 140 });
    at(0, progress('embed', [row('embed', 'a', 100, { done: 20, structures: 2000 })]));
    const said = plain(at(10, progress('embed', [row('embed', 'a', 100, { done: 40, structures: 4000 })])));
    expect(said).toContain('40 of 100 shards  200 structures/s  30 s left');
  });

  test('a redraw erases exactly the lines drawn before', () => {
    const { at, console, shown } = display({ interactive: true });
    const first = at(0, progress('embed', [row('embed', 'a', 2, {}), row('embed', 'b', 2, {})]));
    expect(first.split('\n')).toHaveLength(4); // head, two bars, end
    expect(at(1, progress('embed', [row('embed', 'a', 2, {})]))).toMatch(/^\x1b\[3A\x1b\[0J/);
    console.said = '';
    shown.end();
    expect(console.said).toBe('\x1b[2A\x1b[0J');
    console.said = '';
    shown.end();
    expect(console.said).toBe('');
  });

  test('lines that stay are written above the bars', () => {
    const { at } = display({ interactive: true });
    at(0, progress('embed', [row('embed', 'a', 2, { done: 1 })]));
    const said = plain(at(3, progress('embed', [row('embed', 'a', 2, { done: 2 }, 'done'), row('embed', 'b', 2, {})])));
    expect(said.indexOf('✓ embed a')).toBeLessThan(said.indexOf('stage embed'));
    expect(said.indexOf('stage embed')).toBeLessThan(said.indexOf('░'));
  });

  test.each([20, 40, 80, 200])('no line is wider than %d columns, so that none wraps', (columns) => {
    const { at } = display({ interactive: true, columns });
    const model = 'a-model-with-quite-a-long-name-indeed-2026';
    at(0, progress('embed', [row('embed', model, 1000, { done: 0 })]));
    const said = plain(at(9, progress('embed', [row('embed', model, 1000, { done: 900, structures: 9000 })])));
    for (const line of said.split('\n')) expect(line.length).toBeLessThan(columns);
  });
});

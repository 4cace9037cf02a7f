import { describe, expect, test } from 'vitest';
import { formatAmount, formatCount, formatSeconds, formatShare, formatTable, formatTime } from '../../cli/format.js';

describe('formatSeconds', () => {
  test.each([
    [0, '0.0 s'],
    [0.44, '0.4 s'],
    [9.94, '9.9 s'],
    [9.96, '10 s'],
    [59.4, '59 s'],
    [59.6, '1 min 00 s'],
    [125, '2 min 05 s'],
    [3599.6, '1 h 00 min'],
    [3600, '1 h 00 min'],
    [12_000, '3 h 20 min'],
  ])('%d seconds are %s', (seconds, text) => expect(formatSeconds(seconds)).toBe(text));
});

test('counts have thousands separators, amounts their plural', () => {
  expect(formatCount(1_234_567)).toBe('1,234,567');
  expect(formatAmount(1, 'shard')).toBe('1 shard');
  expect(formatAmount(2485, 'structure')).toBe('2,485 structures');
  expect(formatShare(0.9134)).toBe('91.3 %');
  expect(formatTime(new Date(Date.UTC(2026, 10, 22, 16, 7, 22)))).toBe('2026-11-22 16:07:22');
});

test('a table aligns its columns, numbers to the right, without trailing spaces', () => {
  const lines = formatTable(
    ['model', '>shards', 'note'],
    [
      ['chgnet-0.3.0', '7', ''],
      ['nequix', '1,234', 'new'],
    ],
  );
  expect(lines).toEqual(['model         shards  note', 'chgnet-0.3.0       7', 'nequix         1,234  new']);
});

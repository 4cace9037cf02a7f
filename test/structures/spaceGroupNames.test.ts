import { expect, test } from 'vitest';
import { operationsOfHall } from '../../structures/readers/symmetry/hallSymbol.js';
import { settingsOf } from '../../structures/readers/symmetry/names.js';
import { OperationSet, isSameType, parseOperation } from '../../structures/readers/symmetry/operations.js';
import { runReference } from './reference/run.js';

interface Setting {
  number: number;
  symbol: string;
  bare: string;
  hall: string;
  operations: string[];
}

test('every setting of gemmi has the operations that its Hall symbol and its Hermann-Mauguin symbol mean', async () => {
  let count = 0;
  for await (const { number, symbol, bare, hall, operations } of runReference<Setting>('spaceGroupSettings.py')) {
    const expected = new OperationSet(operations.map(parseOperation));
    expect(operationsOfHall(hall)?.equals(expected), hall).toBe(true);
    expect(settingsOf({ hall })[0].operations.equals(expected), hall).toBe(true);
    expect(settingsOf({ hermannMauguin: symbol })[0]?.operations.equals(expected), symbol).toBe(true);
    for (const spelling of [bare, symbol.replaceAll(' ', ''), bare.toUpperCase()]) {
      const found = settingsOf({ hermannMauguin: spelling });
      expect(
        found.some((setting) => setting.operations.equals(expected)),
        spelling,
      ).toBe(true);
    }
    expect(settingsOf({ hermannMauguin: symbol, hall, number })).toHaveLength(1);
    count++;
  }
  expect(count).toBeGreaterThanOrEqual(558);
});

test.each([
  ['P2(1)/c', 'P 1 21/c 1'],
  ['P12(1)/n1', 'P 1 21/n 1'],
  ['Pmn2(1)', 'P m n 21'],
  ['P2~1~/c', 'P 1 21/c 1'],
  ['P 2_1 2_1 2_1', 'P 21 21 21'],
  ['P m 3 m', 'P m -3 m'],
  ['I a 3 d', 'I a -3 d'],
  ['F d 3 m :2', 'F d -3 m:2'],
  ['F d -3 m O2', 'F d -3 m:2'],
  ['Fd-3m (origin choice 1)', 'F d -3 m:1'],
  ['C m c e', 'C m c a'],
  ['A e a 2', 'A b a 2'],
  ['H -3 m', 'R -3 m:H'],
  ['R -3 m h', 'R -3 m:H'],
  ['PNMA', 'P n m a'],
])('%s is %s', (spelling, symbol) => {
  const [found] = settingsOf({ hermannMauguin: spelling });
  expect(found?.operations.equals(settingsOf({ hermannMauguin: symbol })[0].operations)).toBe(true);
});

test.each(['P 3 2', 'Q 7', 'P n m a(0b0)', 'X -1'])('%s names no setting', (symbol) =>
  expect(settingsOf({ hermannMauguin: symbol })).toEqual([]),
);

test('the setting may have its code beside the symbol', () => {
  const hall = (code: string) => settingsOf({ hermannMauguin: 'F d -3 m', code }).map((setting) => setting.hall);
  expect(hall('1')).toEqual(['F 4d 2 3 -1d']);
  expect(hall('2')).toEqual(['-F 4vw 2vw 3']);
  expect(settingsOf({ number: 14, code: 'c1' }).map((setting) => setting.hall)).toEqual(['-P 2ac']);
});

test('P 3 2 and P 32 are two Hall symbols', () => {
  expect(operationsOfHall('P 3 2')!.size).toBe(6);
  expect(operationsOfHall('P 32')!.size).toBe(3);
});

test.each(['', 'P', 'P 5', 'P 2x3y', 'Q 2', 'P 2 3 4 6 2', 'P 3"', 'P 2 (x,y)', 'P 27'])(
  '%j is no Hall symbol',
  (symbol) => expect(operationsOfHall(symbol)).toBeUndefined(),
);

test.each<[object, RegExp]>([
  [{ hermannMauguin: 'P n m a', hall: '-P 2ybc' }, /'-P 2ybc' and the symbol 'P n m a'/],
  [{ hermannMauguin: 'P n m a', number: 14 }, /'P n m a' and the number 14/],
  [{ hall: '-P 2ybc', number: 62 }, /'-P 2ybc' and the number 62/],
])('%j is a contradiction, and both are named', (name, message) => expect(() => settingsOf(name)).toThrow(message));

test('groups that differ by origin are of one type, those that differ by a glide are not', () => {
  const set = (hall: string) => operationsOfHall(hall)!;
  expect(isSameType(set('F 4d 2 3 -1d'), set('-F 4vw 2vw 3'))).toBe(true);
  expect(isSameType(set('-P 2ybc'), set('-P 2ybc (3 1 2)'))).toBe(true);
  expect(isSameType(set('-P 2ybc'), set('-P 2yb'))).toBe(false);
  expect(isSameType(set('C -2yc'), set('P -2yc'))).toBe(false);
  expect(isSameType(set('-P 2ybc'), set('-P 2bc'))).toBeUndefined();
});

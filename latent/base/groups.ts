/** The rows of each label, labels and rows ascending. */
export function rowsByLabel(labels: ArrayLike<number>): Map<number, Int32Array> {
  const members = new Map<number, number[]>();
  for (let row = 0; row < labels.length; row++) {
    const known = members.get(labels[row]);
    if (known) known.push(row);
    else members.set(labels[row], [row]);
  }
  return new Map([...members].sort(([a], [b]) => a - b).map(([label, rows]) => [label, Int32Array.from(rows)]));
}

/** Numbers the distinct labels from 0 in order of first occurrence: [rows] and their count. */
export function numberGroups(labels: Iterable<string | number>): { groups: Int32Array; count: number } {
  const numbers = new Map<string | number, number>();
  const groups = Int32Array.from(labels, (label) => {
    const known = numbers.get(label);
    if (known !== undefined) return known;
    numbers.set(label, numbers.size);
    return numbers.size - 1;
  });
  return { groups, count: numbers.size };
}

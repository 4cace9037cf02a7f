import { writeFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import { describeShared } from '../support/shared.js';
import { crystals, extendedXyz, parts, Workplace } from './koine.js';

describeShared('a database that grows', () => {
  const place = new Workplace();
  afterAll(() => place.close());

  test('50 added structures run the shards they fall into, reuse the others and keep the basis', async () => {
    const all = crystals(350);
    const source = place.path('source.extxyz');
    const spec = place.spec('grow', { source: [{ path: source }], shards: { structures: 4 } });
    writeFileSync(source, extendedXyz(all.slice(0, 300)));
    const before = await place.run(spec);
    expect(before.stderr).not.toMatch(/Error:/);
    expect(before.code).toBe(0);
    const old = new Set([...parts(place.path('out-grow'), 'embeddings').values()]);

    writeFileSync(source, extendedXyz(all));
    const after = await place.run(spec);
    expect(after.code).toBe(0);
    expect(after.summary.structures).toBe(350);
    expect(after.summary.basis).toBe(before.summary.basis);
    expect(after.summary.snapshot).not.toBe(before.summary.snapshot);
    const leaf = `snapshot=${after.summary.snapshot}`;
    for (const { id, shards } of after.summary.models) {
      const now = [...parts(place.path('out-grow'), 'embeddings')].filter(
        ([name]) => name.includes(leaf) && name.includes(`model=${id}/`),
      );
      const shared = now.filter(([, sha256]) => old.has(sha256)).length;
      expect(shards.reused).toBeGreaterThan(10);
      expect(shards.computed).toBeLessThanOrEqual(50);
      expect(shared).toBe(shards.reused);
      expect(now).toHaveLength(shards.total);
    }
    expect((await place.start(['verify', place.path('out-grow')]).ended).code).toBe(0);
  });
});

import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startS3Server, type S3Server } from '../support/s3Server.js';
import { describeShared } from '../support/shared.js';
import { crystals, digests, extendedXyz, parts, Workplace } from './koine.js';

describeShared('the same run in a folder and on S3', () => {
  const place = new Workplace();
  let s3: S3Server;
  const source = place.path('source.extxyz');
  beforeAll(async () => {
    s3 = await startS3Server();
    writeFileSync(source, extendedXyz(crystals(120)));
  });
  afterAll(async () => {
    place.close();
    await s3.stop();
  });

  test('gives the same digests', async () => {
    const folder = await place.run(place.spec('same', { source: [{ path: source }] }));
    const remote = await place.run(
      place.spec('same', { source: [{ path: source }], output: `${s3.url}/data` }),
      s3.env,
    );
    expect(folder.code).toBe(0);
    expect(remote.stderr).not.toMatch(/Error:/);
    expect(remote.code).toBe(0);
    expect(remote.summary.manifest).toBe(folder.summary.manifest);
    for (const table of ['snapshots', 'embeddings', 'coordinates', 'similarity', 'transport'])
      expect(parts(`${s3.folder}/data`, table)).toEqual(parts(place.path('out-same'), table));
    expect((await place.start(['verify', `${s3.url}/data`], s3.env).ended).code).toBe(0);
  });

  test('structures read from an s3:// prefix are the same snapshot as from a folder', async () => {
    const [a, b] = [crystals(60).slice(0, 30), crystals(60).slice(30)];
    const upload = async (key: string, text: string) => {
      const { PutObjectCommand, S3Client } = await import('@aws-sdk/client-s3');
      const client = new S3Client({
        endpoint: s3.endpoint,
        region: 'us-east-1',
        forcePathStyle: true,
        credentials: s3.credentials,
      });
      await client.send(new PutObjectCommand({ Bucket: s3.bucket, Key: key, Body: text }));
    };
    await upload('source/a.extxyz', extendedXyz(a));
    await upload('source/b.extxyz', extendedXyz(b));
    const remote = await place.start(
      ['plan', place.spec('prefix', { source: [{ path: `${s3.url}/source` }] }), '--json'],
      s3.env,
    ).ended;
    writeFileSync(place.path('all.extxyz'), extendedXyz([...a, ...b]));
    const local = await place.start([
      'plan',
      place.spec('local', { source: [{ path: place.path('all.extxyz') }] }),
      '--json',
    ]).ended;
    const snapshots = [remote, local].map(
      ({ stdout }) => JSON.parse(stdout) as { snapshot: string; structures: number },
    );
    expect(snapshots[0].structures).toBe(60);
    expect(snapshots[0].snapshot).toBe(snapshots[1].snapshot);
  });

  test('two runs that race on one output meet at one manifest and lose no part', async () => {
    const spec = place.spec('race', { source: [{ path: source }] });
    const [one, two] = await Promise.all([place.run(spec, {}, 'state-1'), place.run(spec, {}, 'state-2')]);
    expect([one.code, two.code]).toEqual([0, 0]);
    expect(one.summary.manifest).toBe(two.summary.manifest);
    const roots = [...digests(place.path('out-race')).keys()].filter((name) => name.startsWith('manifests/'));
    const alone = await place.run(place.spec('race', { source: [{ path: source }], output: place.path('out-alone') }));
    expect(alone.summary.manifest).toBe(one.summary.manifest);
    expect(roots.sort()).toEqual(
      [...digests(place.path('out-alone')).keys()].filter((name) => name.startsWith('manifests/')).sort(),
    );
    for (const table of ['embeddings', 'coordinates', 'transport'])
      expect(parts(place.path('out-race'), table)).toEqual(parts(place.path('out-alone'), table));
    expect((await place.start(['verify', place.path('out-race')]).ended).code).toBe(0);
  });
});

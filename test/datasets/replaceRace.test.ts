import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readCatalog } from '../../datasets/catalog.js';
import { ModelConflict, claimModel, type ModelIdentity } from '../../datasets/claim.js';
import { RunIncomplete, commitRun } from '../../datasets/commit.js';
import { digestJson, sha256Hex } from '../../datasets/digest.js';
import * as keys from '../../datasets/keys.js';
import {
  listManifests,
  manifestNodeKeys,
  manifestParts,
  type PartEntry,
  type RunContent,
} from '../../datasets/manifest.js';
import type { ObjectStore } from '../../datasets/store/objectStore.js';
import { MemoryStore, interleave, steppedStore, type Schedule } from '../support/memoryStore.js';

const snapshot = digestJson('snapshot').slice(0, 16);
const basis = digestJson('basis').slice(0, 16);
const identity = (provider: string): ModelIdentity => ({
  onnx_sha256: digestJson('onnx'),
  contract_sha256: digestJson('contract'),
  encoder_version: '1',
  provider,
  batch_budget: { atoms: 1, edges: 1 },
});
const [OLD, NEW] = [identity('old'), identity('new')];

interface Run {
  name: string;
  /** Of model-a; model-b is never replaced. */
  identity: ModelIdentity;
  params: string;
  replace?: boolean;
  /** The last digits of this run's embeddings: some devices give others each time. */
  digits?: string;
}

/** A run as far as the store sees it: claims, writes its parts, publishes. */
async function run(
  store: ObjectStore,
  { name, identity: own, params, replace = false, digits = '' }: Run,
): Promise<string> {
  const claims = [
    { model: 'model-a', identity: own },
    { model: 'model-b', identity: OLD },
  ];
  for (const claim of claims) await claimModel(store, snapshot, claim.model, claim.identity, { replace });
  const tables = new Map<string, PartEntry[]>();
  const write = async (table: string, text: string, keyOf: (sha256: string) => string) => {
    const bytes = Buffer.from(text);
    const sha256 = sha256Hex(bytes);
    const part = { key: keyOf(sha256), bytes: bytes.length, rows: 1, sha256 };
    await store.putIfAbsent(part.key, bytes);
    tables.set(table, [...(tables.get(table) ?? []), part]);
  };
  for (const { model, identity: of } of claims) {
    await write('embeddings', `${model} ${of.provider}${digits}`, (sha) =>
      keys.embeddingsPart(snapshot, model, 0, sha),
    );
    const coordinates = `coordinates of ${model} ${of.provider}${digits}`;
    await write('coordinates', coordinates, (sha) => keys.coordinatesPart(snapshot, basis, model, 0, sha));
  }
  const pair = { snapshot, basis, params: digestJson(params), modelA: 'model-a', modelB: 'model-b' };
  await write('similarity', `${own.provider} ${params}${digits}`, (sha) => keys.pairPart('similarity', pair, sha));
  const content: RunContent = {
    name,
    snapshot,
    basis: null,
    inputs: { name },
    params: { params },
    counts: {},
    documents: [],
    tables: [...tables].map(([table, parts]) => ({ table, schema: {}, parts })),
  };
  return commitRun(store, content, { claims });
}

/** What is untrue of a store: pointers to manifests that are not there, manifests that lack something. */
async function untruths(store: ObjectStore): Promise<string[]> {
  const found: string[] = [];
  const { runs } = await readCatalog(store);
  for (const [name, { manifest }] of Object.entries(runs))
    if (manifest && !(await store.head(keys.manifest(manifest))))
      found.push(`${name} points at a manifest that is gone`);
  for await (const { digest, run: manifest } of listManifests(store)) {
    try {
      for await (const key of manifestNodeKeys(store, digest, manifest)) if (!(await store.head(key))) found.push(key);
      for (const { table } of manifest.tables)
        for await (const { key } of manifestParts(store, manifest, table))
          if (!(await store.head(key))) found.push(`${manifest.name} lacks ${key}`);
    } catch (error) {
      found.push(`${manifest.name}: ${(error as Error).message}`);
    }
  }
  return found;
}

const FIRST = { name: 'first', identity: OLD, params: 'one' };
const OTHER = { name: 'other', identity: OLD, params: 'two' };
const REPLACING = { name: 'replacing', identity: NEW, params: 'one', replace: true };

let before: MemoryStore | undefined;
async function published(): Promise<MemoryStore> {
  if (!before) {
    before = new MemoryStore();
    await run(before, FIRST);
    await run(before, { name: 'elsewhere', identity: OLD, params: 'three' }); // its similarity lies in no leaf of the others
  }
  return before.clone();
}

async function stepsOf(program: (store: ObjectStore) => Promise<unknown>, store: MemoryStore): Promise<number> {
  let steps = 0;
  await program(
    steppedStore(store, (operation) => {
      steps++;
      return operation();
    }),
  );
  return steps;
}

/** One order of a run with the old network and one that replaces it. */
async function race(schedule: Schedule): Promise<void> {
  const store = await published();
  const programs = { other: (of: ObjectStore) => run(of, OTHER), replacing: (of: ObjectStore) => run(of, REPLACING) };
  const { other, replacing } = await interleave(store, programs, schedule);
  expect(replacing).toMatchObject({ status: 'fulfilled' });
  if (other.status === 'rejected')
    expect(
      [ModelConflict, RunIncomplete].some((type) => other.reason instanceof type),
      String(other.reason),
    ).toBe(true);
  expect(await untruths(store)).toEqual([]);
  const { runs } = await readCatalog(store);
  expect(runs.replacing.manifest).toBe((replacing as PromiseFulfilledResult<string>).value);
  expect(runs.other?.manifest).toBeUndefined(); // refused, or published before it was replaced
  expect(runs.first?.manifest).toBeUndefined();
  expect(runs.elsewhere?.manifest).toBeUndefined();
  expect([...store.objects.keys()].filter((key) => key.endsWith('~replaced'))).toEqual([]);
}

describe('a run that replaces a model beside a run that publishes the old one', () => {
  test('leaves no pointer and no manifest untrue, wherever each is held up once', async () => {
    const others = await stepsOf((of) => run(of, OTHER), await published());
    const replacing = await stepsOf((of) => run(of, REPLACING), await published());
    expect(Math.min(others, replacing)).toBeGreaterThan(30);
    // Clients are in alphabetical order: 0 is the other run. One runs for a while, the other for a while, the first to its end, the rest.
    for (let first = 0; first <= others; first++)
      for (let second = 0; second <= replacing; second++)
        await race((_, step) => (step < first ? 0 : step < first + second ? 1 : 0));
  });

  test('whichever begins', async () => {
    const others = await stepsOf((of) => run(of, OTHER), await published());
    const replacing = await stepsOf((of) => run(of, REPLACING), await published());
    for (let first = 0; first <= replacing; first++)
      for (let second = 0; second <= others; second++)
        await race((_, step) => (step < first ? 1 : step < first + second ? 0 : 1));
  });

  test('in any order of their steps', async () => {
    const property = fc.asyncProperty(fc.array(fc.nat(1), { minLength: 200, maxLength: 200 }), (choices) =>
      race((_, step) => choices[step % choices.length]),
    );
    await fc.assert(property, { numRuns: 500 });
  });
});

test('runs of one network that gives other last digits each time leave no pointer and no manifest untrue', async () => {
  const [one, two] = ['one', 'two'].map((name) => ({ name, identity: OLD, params: 'same', digits: name }));
  const compete = async (schedule: Schedule) => {
    const store = await published();
    const programs = { one: (of: ObjectStore) => run(of, one), two: (of: ObjectStore) => run(of, two) };
    const endings = Object.values(await interleave(store, programs, schedule));
    for (const ending of endings) if (ending.status === 'rejected') expect(ending.reason).toBeInstanceOf(RunIncomplete);
    expect(await untruths(store)).toEqual([]);
  };
  const steps = await stepsOf((of) => run(of, one), await published());
  for (let first = 0; first <= steps; first++)
    for (let second = first % 3; second <= steps; second += 3)
      await compete((_, step) => (step < first ? 0 : step < first + second ? 1 : 0));
});

test('a replacement that breaks off anywhere ends in the same place when it is repeated', async () => {
  // Tables of manifests that were removed may stay: nothing leads to them, and `koine gc` removes them.
  const left = async (store: MemoryStore) => {
    const found = [...store.objects.keys()].filter((key) => !key.startsWith(keys.MANIFESTS));
    for await (const { digest } of listManifests(store)) found.push(digest);
    return found.sort();
  };
  const undisturbed = await published();
  await run(undisturbed, REPLACING);
  const wanted = await left(undisturbed);
  const steps = await stepsOf((of) => run(of, REPLACING), await published());
  for (let last = 0; last < steps; last++) {
    const store = await published();
    let step = 0;
    const broken = run(
      steppedStore(store, (operation) => (step++ < last ? operation() : Promise.reject(new Error('killed')))),
      REPLACING,
    );
    await expect(broken).rejects.toThrow('killed');
    await run(store, REPLACING);
    expect(await left(store)).toEqual(wanted);
    expect(await untruths(store)).toEqual([]);
  }
});

import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { QUEUE_ROLES, SEARCH_ATTRIBUTES, taskQueue } from '../../config/names.js';
import { packageRoot, PINNED } from '../../infra/toolchain.js';

const folder = join(packageRoot(), 'infra');
const read = (name: string) => readFileSync(join(folder, name), 'utf8');

interface Compose {
  services: Record<string, { image: string; command?: string[]; environment?: Record<string, string> }>;
}
interface Resource {
  kind: string;
  metadata: { name: string };
  spec: {
    template?: { spec: { containers: { args: string[] }[] } };
    scaleTargetRef?: { name: string };
    triggers?: { metadata: Record<string, string> }[];
  };
}

describe('compose.yaml', () => {
  const { services } = parse(read('compose.yaml'), { merge: true }) as Compose;

  test('registers the search attributes that workflows set', () => {
    const flags = services.temporal.command!.filter((word) => word.startsWith('--search-attribute='));
    const attributes = Object.fromEntries(flags.map((flag) => flag.split('=').slice(1) as [string, string]));
    expect(attributes).toEqual(SEARCH_ATTRIBUTES);
  });

  test('runs the pinned tools', () => {
    expect(services.temporal.image).toBe(`temporalio/temporal:${PINNED.temporal.version}`);
    expect(services.store.image).toBe(`versity/versitygw:v${PINNED.versitygw.version}`);
  });

  test('hosts a worker for every queue', () => {
    for (const role of QUEUE_ROLES) expect(services[role].command).toEqual(['worker', '--queue', role]);
  });
});

describe('kubernetes', () => {
  const names = readdirSync(join(folder, 'kubernetes'));
  const documents = names.flatMap((name) => parseAllDocuments(read(`kubernetes/${name}`)));
  const resources = documents.map((document) => document.toJS() as Resource);
  const ofKind = (kind: string) => resources.filter((resource) => resource.kind === kind);

  test('every file is sound YAML and is listed by the kustomization', () => {
    expect(documents.flatMap(({ errors, warnings }) => [...errors, ...warnings])).toEqual([]);
    const { resources: listed } = parse(read('kubernetes/kustomization.yaml')) as { resources: string[] };
    expect([...listed, 'kustomization.yaml'].sort()).toEqual([...names].sort());
  });

  test('there is a deployment for every queue', () => {
    const words = ofKind('Deployment').map(({ spec }) => spec.template!.spec.containers[0].args.join(' '));
    expect(words.sort()).toEqual(QUEUE_ROLES.map((role) => `worker --queue ${role}`).sort());
  });

  test('autoscaling watches the queue of the deployment that it scales', () => {
    const scaled = ofKind('ScaledObject').map(({ spec }) => [
      spec.scaleTargetRef!.name,
      spec.triggers![0].metadata.taskQueue,
    ]);
    expect(scaled).toEqual([
      ['koine-inference', taskQueue('inference')],
      ['koine-compute', taskQueue('compute')],
    ]);
    const deployed = ofKind('Deployment').map(({ metadata }) => metadata.name);
    for (const [target] of scaled) expect(deployed).toContain(target);
  });
});

import { randomUUID } from 'node:crypto';
import { inject } from 'vitest';
import { startDevServer, type DevServer } from '../../infra/devServer.js';
import type { SearchAttributes } from '../../infra/searchAttributes.js';

let server: Promise<DevServer> | undefined;

/**
 * Address of the one real Temporal development server of this test run, started by the first test that asks. It has the
 * namespace `default`; use `uniqueName` for task queues and workflow ids, since all files share it.
 * @param searchAttributes registered if the server lacks them
 */
export async function temporalAddress(searchAttributes: SearchAttributes = {}): Promise<string> {
  server ??= startDevServer({ stateDir: inject('temporalStateDir'), searchAttributes });
  return (await server).address;
}

/** A name no other test uses, for task queues, workflow ids and schedules: `prefix-1b9d6bcd`. */
export function uniqueName(prefix: string): string {
  return `${prefix}-${randomUUID().slice(0, 8)}`;
}

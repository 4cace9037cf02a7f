import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isAlive, processIdentity, type ProcessIdentity } from '../locks/processIdentity.js';

/** Says "this process uses it" by a file in `folder`; returns the file's path, to delete when done. */
export function takeLease(folder: string): string {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${process.pid}-${randomUUID().slice(0, 8)}`);
  writeFileSync(path, JSON.stringify(processIdentity()));
  return path;
}

/** Number of leases of living processes; those of dead ones are deleted. Call it under the lock that guards the folder. */
export function liveLeases(folder: string): number {
  mkdirSync(folder, { recursive: true });
  let live = 0;
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    const text = readFileSync(path, 'utf8');
    // Empty: its process died between creating and writing it, since both happen under the lock.
    if (text !== '' && isAlive(JSON.parse(text) as ProcessIdentity)) live++;
    else rmSync(path);
  }
  return live;
}

import { createHash, randomUUID } from 'node:crypto';
import { link, mkdir, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** A holder on another machine cannot be asked whether it lives; its ticket expires. What a lock guards takes milliseconds. */
const FOREIGN_TICKET_EXPIRY_MS = 30_000;
const POLL_MS = 5;

interface Owner {
  /** Machine and process-id namespace: a process id means nothing outside of it. */
  host: string;
  pid: number;
  /** Boot and process start: a process id is reused, this is not. */
  born: string;
  released: boolean;
}

/**
 * Runs `action` while no other caller, thread, process or machine runs one under the same lock. Survives `kill -9` of a holder.
 *
 * A lock is a folder of numbered tickets; whoever holds the highest number holds the lock. A ticket is taken with link(2), which
 * lets exactly one caller have a number, once the ticket before it is released or its owner is dead. The highest ticket is never
 * removed, only marked released, so numbers never come back and a slow observer of an old ticket cannot break a new one: it
 * finds its number taken, or a higher one after taking it. Lower tickets are removed by the next holder.
 * @param folder holds the locks of one store, on one file system
 * @param name what is locked
 */
export async function withLock<T>(
  folder: string,
  name: string,
  action: () => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const tickets = path.join(folder, createHash('sha256').update(name).digest('hex').slice(0, 32));
  await mkdir(tickets, { recursive: true });
  const number = await take(tickets, signal);
  try {
    return await action();
  } finally {
    await put(tickets, number, { ...self(), released: true }, rename);
  }
}

async function take(tickets: string, signal: AbortSignal | undefined): Promise<number> {
  for (;;) {
    signal?.throwIfAborted();
    const highest = await highestTicket(tickets);
    if (highest > 0 && (await isHeld(path.join(tickets, String(highest))))) {
      await sleep(POLL_MS, undefined, { signal });
      continue;
    }
    const mine = highest + 1;
    if (!(await put(tickets, mine, { ...self(), released: false }, link))) continue;
    if ((await highestTicket(tickets)) !== mine) {
      // `highest` was long gone: others took, released and cleared away my number while I looked.
      await rm(path.join(tickets, String(mine)), { force: true });
      continue;
    }
    for (const lower of await ticketNumbers(tickets)) {
      if (lower < mine) await rm(path.join(tickets, String(lower)), { force: true });
    }
    return mine;
  }
}

/** Writes a ticket beside its place, then links (false if the number is taken) or renames it there. */
async function put(
  tickets: string,
  number: number,
  owner: Owner,
  place: typeof link | typeof rename,
): Promise<boolean> {
  const draft = path.join(tickets, `draft-${randomUUID()}`);
  await writeFile(draft, JSON.stringify(owner));
  try {
    await place(draft, path.join(tickets, String(number)));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
}

async function ticketNumbers(tickets: string): Promise<number[]> {
  return (await readdir(tickets)).filter((entry) => /^\d+$/.test(entry)).map(Number);
}

async function highestTicket(tickets: string): Promise<number> {
  return Math.max(0, ...(await ticketNumbers(tickets)));
}

async function isHeld(ticket: string): Promise<boolean> {
  let owner: Owner;
  let age: number;
  try {
    owner = JSON.parse(await readFile(ticket, 'utf8')) as Owner;
    age = Date.now() - (await stat(ticket)).mtimeMs;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return true; // cleared by a newer holder: look again
    throw error;
  }
  if (owner.released) return false;
  if (owner.host !== self().host) return age < FOREIGN_TICKET_EXPIRY_MS;
  return owner.born === bornOf(owner.pid);
}

let own: Omit<Owner, 'released'> | undefined;
function self(): Omit<Owner, 'released'> {
  own ??= { host: pidNamespace(), pid: process.pid, born: bornOf(process.pid) ?? 'unknown' };
  return own;
}

function pidNamespace(): string {
  try {
    return `${hostname()} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return hostname(); // no /proc: one namespace a machine
  }
}

/** Identity of a live process; undefined where there is none of that id. */
function bornOf(pid: number): string | undefined {
  if (process.platform === 'linux') {
    try {
      const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
      const status = readFileSync(`/proc/${pid}/stat`, 'utf8');
      // The command name in parentheses may hold spaces; of the fields after it the first is the state, the 20th the start time.
      const fields = status.slice(status.lastIndexOf(')') + 2).split(' ');
      return fields[0] === 'Z' ? undefined : `${boot}/${fields[19]}`;
    } catch {
      return undefined;
    }
  }
  try {
    process.kill(pid, 0);
    return 'alive';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM' ? 'alive' : undefined;
  }
}

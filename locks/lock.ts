import { randomUUID } from 'node:crypto';
import { link, mkdir, open, readdir, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { fateOf, processIdentity, type ProcessIdentity } from './processIdentity.js';

/** A holder says that it lives this often. */
const RENEWAL_MS = 5_000;
/** A holder on another machine is given up when it has said nothing for as long as this under our eyes. */
const EXPIRY_MS = 30_000;
/** Waits between two looks at a held lock double from the one to the other, half of each at random. */
const [SHORTEST_WAIT_MS, LONGEST_WAIT_MS] = [5, 100];

/** Options of {@link withLock}. */
export interface LockOptions {
  /** Ends the waiting. */
  signal?: AbortSignal;
  /** Called once, with the pid of the holder, when the lock is taken. */
  onWait?: (pid: number) => void;
}

/** Another took the lock over, since its holder seemed dead: suspended, or cut off from the file server. */
export class LockLost extends Error {
  override name = 'LockLost';
}

/**
 * Runs `work` while no other call, thread, process or machine runs work under the same folder. A holder that was killed is
 * noticed and replaced.
 *
 * The folder holds numbered tickets; whoever wrote the highest holds the lock, until it empties the ticket (which a full disk does
 * not prevent) or dies. A ticket is taken with link(2), which is atomic with its content and fails if the number exists. The highest
 * ticket is never removed, so numbers never come back, and two processes that both see a dead holder cannot both replace it, which
 * "unlink the stale lock, then create" allows. Lower tickets are removed by the next holder.
 *
 * A holder on another machine cannot be asked whether it lives. It touches its ticket every few seconds; a waiter that sees no touch
 * for long enough by its own stopwatch takes over, so no clock is ever compared with another.
 * @param folder of this lock alone
 * @param work gets a function to call right before what the lock guards is changed, for when a takeover would do harm
 * @throws {LockLost} from that function, when another has the lock meanwhile
 */
export async function withLock<T>(
  folder: string,
  work: (checkHeld: () => Promise<void>) => T | Promise<T>,
  options: LockOptions = {},
): Promise<T> {
  const number = await take(folder, options);
  const ticket = join(folder, String(number));
  const renewal = setInterval(() => {
    // A renewal that fails is made up for by the next; if none succeeds, the ticket expires, which `checkHeld` tells.
    utimes(ticket, new Date(), new Date()).catch(() => undefined);
  }, RENEWAL_MS).unref();
  try {
    return await work(async () => {
      await utimes(ticket, new Date(), new Date()).catch(unlessMissing); // from now on it is mine for as long as it lasts
      if ((await highest(folder)) !== number)
        throw new LockLost(`locks: process ${process.pid} was silent for so long that another took ${folder} over`);
    });
  } finally {
    clearInterval(renewal);
    await truncate(ticket).catch(unlessMissing); // taken over, and cleared away
  }
}

async function take(folder: string, { signal, onWait }: LockOptions): Promise<number> {
  let watched = { number: 0, touched: 0, since: 0 };
  for (let wait = SHORTEST_WAIT_MS, told = false; ;) {
    signal?.throwIfAborted();
    await mkdir(folder, { recursive: true }); // a user that left may have taken the folder away
    const number = await highest(folder);
    const found = await look(join(folder, String(number)));
    if (found?.holder) {
      const { touched } = found;
      if (watched.number !== number || watched.touched !== touched)
        watched = { number, touched, since: performance.now() };
      const fate = fateOf(found.holder);
      if (fate === 'runs' || (fate === 'unknown' && performance.now() - watched.since < EXPIRY_MS)) {
        if (!told) onWait?.(found.holder.pid);
        told = true;
        await sleep(wait * (0.5 + 0.5 * Math.random()), undefined, { signal });
        wait = Math.min(2 * wait, LONGEST_WAIT_MS);
        continue;
      }
    }
    if (await placed(folder, number + 1)) return number + 1;
  }
}

/** Takes a number; false when another was quicker. */
async function placed(folder: string, number: number): Promise<boolean> {
  const draft = join(folder, `draft-${randomUUID()}`);
  const ticket = join(folder, String(number));
  try {
    await writeFile(draft, JSON.stringify(processIdentity()));
    await link(draft, ticket);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT') return false; // the new holder swept the draft away
    if (code !== 'EEXIST') throw error;
    // A network file system may do what it says it did not: a second name of the draft is my ticket (open(2), on O_EXCL).
    if ((await stat(draft).catch(unlessMissing))?.nlink !== 2) return false;
  } finally {
    await rm(draft, { force: true });
  }
  // A slow process may take a number that faster ones have been through and cleared away: only the highest counts.
  if ((await highest(folder)) !== number) {
    await rm(ticket, { force: true });
    return false;
  }
  for (const name of await readdir(folder)) if (name !== String(number)) await rm(join(folder, name), { force: true });
  return true;
}

/** Who holds a ticket, null when it is let go, and when it was touched; undefined where there is no ticket. */
async function look(ticket: string): Promise<{ holder: ProcessIdentity | null; touched: number } | undefined> {
  // Opened anew for both: only then does a network file system ask its server.
  const file = await open(ticket).catch(unlessMissing);
  if (!file) return undefined;
  try {
    const { mtimeMs: touched } = await file.stat();
    return { holder: holderIn(await file.readFile('utf8')), touched };
  } finally {
    await file.close();
  }
}

function holderIn(text: string): ProcessIdentity | null {
  try {
    return text === '' ? null : (JSON.parse(text) as ProcessIdentity);
  } catch {
    return null; // a power cut left a part of it
  }
}

async function highest(folder: string): Promise<number> {
  return Math.max(0, ...(await readdir(folder)).filter((name) => /^\d+$/.test(name)).map(Number));
}

function unlessMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}

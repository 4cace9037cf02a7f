import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/**
 * A process told apart from a later one that got the same pid: lock, lease and server files outlive a `kill -9`, and pids
 * come round again (in a container almost at once). One machine is assumed; another machine's process counts as dead.
 */
export interface ProcessIdentity {
  pid: number;
  /** When it started, in whatever the system counts; compared, never read. */
  started: string;
}

/** Identity of a running process, or null when there is none of that pid (a zombie counts as gone). */
export function processIdentity(pid: number = process.pid): ProcessIdentity | null {
  const started = process.platform === 'linux' ? startedOnLinux(pid) : startedByPs(pid);
  return started === null ? null : { pid, started };
}

/** Whether exactly this process still runs. */
export function isAlive(identity: ProcessIdentity): boolean {
  return processIdentity(identity.pid)?.started === identity.started;
}

function startedOnLinux(pid: number): string | null {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return null; // no such process
  }
  // "pid (name) state ppid …": the name may hold spaces and brackets, so count from the last one. proc(5): state is field 3,
  // num_threads field 20, starttime (clock ticks since boot) field 22.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // A killed process of many threads is a zombie first and gives up its ports and file locks with its last thread.
  if (fields[0] === 'X' || (fields[0] === 'Z' && Number(fields[17]) <= 1)) return null;
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  return `${boot}/${fields[19]}`;
}

function startedByPs(pid: number): string | null {
  try {
    const line = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim();
    const [state = 'Z', ...started] = line.split(/\s+/);
    return state.startsWith('Z') ? null : started.join(' ');
  } catch {
    return null; // ps exits 1 for an unknown pid
  }
}

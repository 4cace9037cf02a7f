import { execFileSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/**
 * A process told apart from a later one that got the same pid, and from one of another machine or container: lock, lease and
 * server files outlive a `kill -9`, and pids come round again (in a container almost at once).
 */
export interface ProcessIdentity {
  /** Where the pid means something: this boot of this machine, and the pid namespace. */
  host: string;
  pid: number;
  /** When it started, in whatever the system counts; compared, never read. */
  started: string;
}

/** What became of a process; `unknown` where that cannot be asked: on another machine, or a process that is hidden from this user. */
export type ProcessFate = 'runs' | 'gone' | 'unknown';

/** Identity of a running process of this host, or null when there is none of that pid (a zombie counts as gone). */
export function processIdentity(pid: number = process.pid): ProcessIdentity | null {
  const started = startOf(pid);
  return started === 'gone' || started === 'hidden' ? null : { host: thisHost(), pid, started };
}

/** What became of exactly this process. */
export function fateOf({ host, pid, started }: ProcessIdentity): ProcessFate {
  if (host !== thisHost()) return 'unknown';
  const found = startOf(pid);
  if (found === 'hidden') return 'unknown';
  return found === started ? 'runs' : 'gone';
}

/** Whether exactly this process is known to run; for files that only one machine uses, where another's process is a former one. */
export function isAlive(identity: ProcessIdentity): boolean {
  return fateOf(identity) === 'runs';
}

let host: string | undefined;

/**
 * The kernel's own name for this boot, which two machines never share; host names and /etc/machine-id come with images and are
 * copied. A process of an earlier boot counts as one of another machine.
 */
function thisHost(): string {
  host ??= process.platform === 'linux' ? hostOnLinux() : hostBySysctl();
  return host;
}

function hostOnLinux(): string {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
    return `${boot} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return hostname(); // a kernel that only looks like Linux
  }
}

function hostBySysctl(): string {
  try {
    return execFileSync('sysctl', ['-n', 'kern.bootsessionuuid'], { encoding: 'utf8', stdio: 'pipe' }).trim();
  } catch {
    return hostname(); // a system that is not macOS
  }
}

/** When the process of a pid started, or `gone`, or `hidden` where it is there and the system does not say more. */
function startOf(pid: number): string {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return 'gone'; // EPERM: another user's process
  }
  return process.platform === 'linux' ? startOnLinux(pid) : startByPs(pid);
}

function startOnLinux(pid: number): string {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return 'hidden'; // /proc mounted with hidepid; one that ended just now is found gone at the next look
  }
  // "pid (name) state ppid …": the name may hold spaces and brackets, so count from the last one. proc(5): state is field 3,
  // num_threads field 20, starttime (clock ticks since boot) field 22.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // A killed process of many threads is a zombie first and gives up its ports and file locks with its last thread.
  if (fields[0] === 'X' || (fields[0] === 'Z' && Number(fields[17]) <= 1)) return 'gone';
  return fields[19];
}

function startByPs(pid: number): string {
  try {
    // The same words whatever the language and time zone of who asks.
    const env = { ...process.env, LC_ALL: 'C', TZ: 'UTC0' };
    const line = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], { encoding: 'utf8', env }).trim();
    const [state = 'Z', ...started] = line.split(/\s+/);
    return state.startsWith('Z') ? 'gone' : started.join(' ');
  } catch {
    return 'hidden'; // ps lists no such process
  }
}

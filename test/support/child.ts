import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** A script in a process of its own. */
export interface Child {
  process: ChildProcess;
  /** The first line it prints. */
  firstLine: Promise<string>;
  /** Its exit code or signal. */
  ended: Promise<number | NodeJS.Signals | null>;
}

/**
 * Starts a script of Node; its stderr is shown.
 * @param prefix command that starts the process, before node and its arguments
 */
export function startChild(script: URL, args: readonly string[], prefix: readonly string[] = []): Child {
  const [command, ...rest] = [...prefix, process.execPath, fileURLToPath(script), ...args];
  const child = spawn(command, rest, { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'close').then(
    ([code, signal]) => (code as number | null) ?? (signal as NodeJS.Signals | null),
  );
  const firstLine = new Promise<string>((resolve, reject) => {
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes('\n')) resolve(text.slice(0, text.indexOf('\n')));
    });
    void ended.then((code) => reject(new Error(`${script.href} ended with ${code} and printed no line: '${text}'`)));
  });
  firstLine.catch(() => undefined); // only an error for those who wait for the line
  return { process: child, firstLine, ended };
}

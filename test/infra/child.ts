import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** A script of `test/infra/children/` in a process of its own. */
export interface Child {
  process: ChildProcess;
  /** The first line it prints. */
  firstLine: Promise<string>;
  /** Its exit code or signal. */
  ended: Promise<number | NodeJS.Signals | null>;
}

/** Starts `children/<name>.mjs`; its stderr is shown. */
export function startChild(name: string, ...args: string[]): Child {
  const script = fileURLToPath(new URL(`./children/${name}.mjs`, import.meta.url));
  const child = spawn(process.execPath, [script, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'close').then(
    ([code, signal]) => (code as number | null) ?? (signal as NodeJS.Signals | null),
  );
  const firstLine = new Promise<string>((resolve, reject) => {
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes('\n')) resolve(text.slice(0, text.indexOf('\n')));
    });
    void ended.then((code) => reject(new Error(`${name} ended with ${code} and printed no line: '${text}'`)));
  });
  firstLine.catch(() => undefined); // only an error for those who wait for the line
  return { process: child, firstLine, ended };
}

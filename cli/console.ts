import type { WriteStream } from 'node:tty';

/** Where a command writes: answers go to stdout, everything about the way there to stderr. */
export interface Console {
  /** A line for people, on stderr. */
  say(line: string): void;
  /** Text for people as it is, on stderr: progress that redraws itself. */
  draw(text: string): void;
  /** What the command was asked for, on stdout. */
  answer(text: string): void;
  /** Whether stderr is a terminal that can redraw. */
  readonly interactive: boolean;
  /** Width of that terminal. */
  readonly columns: number;
}

/** The console of a process. */
export function processConsole(stdout: NodeJS.WriteStream, stderr: NodeJS.WriteStream): Console {
  // `koine status | head` closes our stdout early; that is no error of ours.
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  return {
    say: (line) => void stderr.write(`${line}\n`),
    draw: (text) => void stderr.write(text),
    answer: (text) => void stdout.write(`${text}\n`),
    interactive: isTerminal(stderr),
    get columns() {
      return stderr.columns || 80;
    },
  };
}

function isTerminal(stream: NodeJS.WriteStream): stream is WriteStream {
  return stream.isTTY === true && process.env.TERM !== 'dumb';
}

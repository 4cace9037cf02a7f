import type { Console } from '../../cli/console.js';

/** A console that remembers. */
export interface RecordedConsole extends Console {
  /** Everything on stderr, as one text. */
  said: string;
  /** Everything on stdout. */
  answered: string;
}

/** A console of a test; interactive or not. */
export function recordedConsole(options: { interactive?: boolean; columns?: number } = {}): RecordedConsole {
  const console: RecordedConsole = {
    said: '',
    answered: '',
    interactive: options.interactive ?? false,
    columns: options.columns ?? 100,
    say: (line) => void (console.said += `${line}\n`),
    draw: (text) => void (console.said += text),
    answer: (text) => void (console.answered += `${text}\n`),
  };
  return console;
}

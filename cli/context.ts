import type { Settings } from '../config/settings.js';
import type { Console } from './console.js';

/** What every command is given. */
export interface Context {
  readonly console: Console;
  /** Read from the environment on first use, so that `--help` works whatever it holds. @throws {Error} naming the variable */
  settings(): Settings;
}

import { EXIT } from '../config/names.js';

/** A command that cannot go on; the message says why and what would mend it, and needs no stack. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  constructor(
    message: string,
    readonly exitCode: number = EXIT.usage,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

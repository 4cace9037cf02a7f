import { EXIT } from '../../config/names.js';
import { runSpecJsonSchema } from '../../config/runSpec.js';
import type { Context } from '../context.js';

/** `koine schema`: the JSON Schema of the run spec. */
export function schema({ console }: Context): number {
  console.answer(JSON.stringify(runSpecJsonSchema(), null, 2));
  return EXIT.done;
}

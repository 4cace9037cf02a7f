import { column, rowTable, type RowOf } from './rowTable.js';

/** Table `quarantine`: every structure that could not be processed, and why. */
export const quarantineTable = rowTable('quarantine', {
  material_id: column('string', 'Structure, as far as its id could be read.'),
  source: column('string', 'File and place it came from.'),
  stage: column('string', 'Stage that refused it: snapshot, embed, project.'),
  model: column('string?', 'Model that refused it; null where the structure itself is unsound.'),
  code: column('string', 'Reason code.'),
  message: column('string', 'Names the offending value and what is needed.'),
});
/** A row of {@link quarantineTable}. */
export type QuarantineRow = RowOf<typeof quarantineTable>;

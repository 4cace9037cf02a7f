import * as keys from '../../datasets/keys.js';
import type { PartEntry } from '../../datasets/manifest.js';
import { quarantineTable, type QuarantineRow } from '../../datasets/tables/quarantine.js';
import { embeddedPage } from '../embed/embedded.js';
import type { PlannedRun } from '../run/openRun.js';

/** Rows of one part: some megabytes while it is encoded. */
const ROWS_PER_PART = 50_000;

/** Counts by reason code. */
export type CodeCounts = Record<string, number>;

/** What a stage refused, as it was published. */
export interface PublishedQuarantine {
  parts: PartEntry[];
  codes: CodeCounts;
}

/** Writes rows as they come, in parts of bounded size. @param of as in {@link keys.quarantineLeaf} */
export async function publishQuarantine(
  run: PlannedRun,
  stage: string,
  of: string,
  rows: AsyncIterable<QuarantineRow>,
): Promise<PublishedQuarantine> {
  const published: PublishedQuarantine = { parts: [], codes: {} };
  let held: QuarantineRow[] = [];
  const flush = async () => {
    const { snapshot } = run.snapshot;
    const index = published.parts.length;
    const bytes = await quarantineTable.encode(held);
    published.parts.push(
      await run.putPart((sha) => keys.quarantinePart(snapshot, stage, of, index, sha), bytes, held.length),
    );
    held = [];
  };
  for await (const row of rows) {
    published.codes[row.code] = (published.codes[row.code] ?? 0) + 1;
    held.push(row);
    if (held.length === ROWS_PER_PART) await flush();
  }
  if (held.length > 0 || published.parts.length === 0) await flush();
  return published;
}

/** What a model refused, page by page. @throws {NotDone} */
export async function* refusedByModel(run: PlannedRun, model: string): AsyncGenerator<QuarantineRow> {
  for await (const { quarantine } of run.ahead(run.snapshot.pages.keys(), (page) => embeddedPage(run, model, page)))
    yield* quarantine;
}

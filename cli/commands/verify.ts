import { EXIT } from '../../config/names.js';
import { verifyDataset } from '../../datasets/verify.js';
import type { Context } from '../context.js';
import { openDataset } from '../dataset.js';
import { formatCount, formatTable } from '../format.js';

/** Milliseconds between two redraws of the progress. */
const REDRAW_MILLISECONDS = 200;

/** `koine verify DATASET`: is everything there, unchanged, and consistent? */
export async function verify(context: Context, dataset: string, { json }: { json?: boolean }): Promise<number> {
  const { console } = context;
  const store = openDataset(dataset);
  let drawn = 0;
  const checks = await verifyDataset(store, {
    onProgress({ done, total }) {
      if (!console.interactive || performance.now() - drawn < REDRAW_MILLISECONDS) return;
      drawn = performance.now();
      console.draw(`\r\x1b[2K${formatCount(done)} of ${formatCount(total)} objects`);
    },
  });
  if (drawn > 0) console.draw('\r\x1b[2K');
  const failed = checks.filter(({ ok }) => !ok);
  if (json) {
    console.answer(JSON.stringify({ dataset: store.url, ok: failed.length === 0, checks }));
  } else {
    const rows = checks.map(({ name, ok, detail }) => [ok ? 'ok' : 'FAILED', name, detail]);
    for (const line of formatTable(['', 'check', 'looked at, or what is wrong'], rows)) console.answer(line);
    console.answer(
      failed.length === 0 ? `${store.url} is sound` : `${failed.length} of ${checks.length} checks failed`,
    );
  }
  return failed.length === 0 ? EXIT.done : EXIT.failed;
}

import { digestJson } from '../../datasets/digest.js';
import { readJson, writeJson } from '../../datasets/json.js';
import * as keys from '../../datasets/keys.js';
import type { FilePart } from '../../structures/parts/filePart.js';
import type { ReadingQuestion } from '../compute/snapshotTasks.js';
import { tallyOf, type ItemTask, type ListedFile, type SourceListing } from '../run/documents.js';
import type { StageRunner } from '../run/itemStage.js';
import type { RequestedRun, RunMemory } from '../run/openRun.js';
import { remoteBytes, threadFile } from './sourceFiles.js';

/** What scanning a large file told. */
export interface FileScan {
  sha256: string;
  parts: FilePart[];
}

/** The scan stage: cuts a large file into parts that are read apart. A local file is scanned every time: that is how it is known to be the same. */
export function scanStage(memory: RunMemory): StageRunner<'scan'> {
  const fileOf = async (run: RequestedRun, { listing, item }: ItemTask<'scan'>) =>
    (await run.document<SourceListing>(listing)).large[item].file;
  return {
    async run(task, work) {
      const run = await memory.requested(task.run, work);
      const file = await fileOf(run, task);
      const answer = (question: ReadingQuestion) =>
        question.ask === 'bytes' ? remoteBytes(run, file, question.start, question.end) : work.beat(question);
      const scan: FileScan = await run.compute('scan', { file: threadFile(file) }, { answer });
      await writeJson(run.store, scanKey(file), scan, work);
      return tallyOf({});
    },
    async reuse(task, work) {
      const run = await memory.requested(task.run, work);
      const file = await fileOf(run, task);
      return file.version !== null && (await readJson(run.store, scanKey(file), work))
        ? tallyOf({ reused: 1 })
        : undefined;
    },
  };
}

/** What the last scan of a file told. @throws where there was none */
export async function scanOf(run: RequestedRun, file: ListedFile): Promise<FileScan> {
  const scan = await readJson<FileScan>(run.store, scanKey(file), run.work);
  if (!scan) throw new Error(`activities: ${file.name} is not scanned; run again`);
  return scan;
}

function scanKey(file: ListedFile): string {
  return keys.fileScan(digestJson({ ...file }));
}

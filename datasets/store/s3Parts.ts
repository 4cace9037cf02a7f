import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  UploadPartCommand,
  UploadPartCopyCommand,
  type ChecksumAlgorithm,
  type CompletedPart,
} from '@aws-sdk/client-s3';
import type { ObjectInfo, StoreOptions } from './objectStore.js';
import type { Patience } from './patience.js';
import { count, type RequestKind } from './requestCounts.js';
import type { S3Connection } from './s3Connection.js';
import { mapWindow } from './window.js';

/** Metadata entry that tells one put from another with equal bytes. */
export const WRITE_ID = 'koine-write';

/** What a conditional put asks of the object that is there. */
export type Condition = { IfNoneMatch: '*' } | { IfMatch: string };

/** Where an object is made of parts, and how requests are sent. */
export interface PartsPlace {
  address: { Bucket: string; Key: string };
  connection: S3Connection;
  options: StoreOptions;
  request: <T>(
    kind: RequestKind,
    send: (http: { abortSignal: AbortSignal | undefined }) => Promise<T>,
    more?: { patience?: Patience; bytesOut?: number },
  ) => Promise<T>;
}

/** Parts under way at once: enough to fill a line, few enough that several objects can be put beside each other. */
const PARTS_AT_ONCE = 4;
const PUT_PART_BYTES = 16 * 2 ** 20;
const COPIED_PART_BYTES = 512 * 2 ** 20;
/** S3 takes so many parts of an object. */
const MOST_PARTS = 10_000;
/** How long the parts of a failed upload are tried to be removed. */
const ABORT_MS = 10_000;

/**
 * Puts an object in parts. Nothing of it is visible before the last request, which carries the condition. A server that ignores the
 * condition there replaces the object: only objects named by their content are this large, so the bytes stay the same;
 * `probeConditionalWrites` says whether one does.
 * @param patience of the last request: whether it was repeated is for the caller to ask
 * @throws an error named `PreconditionFailed` where the condition did not hold, `NoSuchUpload` where the upload is gone: in both cases
 * perhaps because an earlier attempt of the last request won and its answer was lost
 */
export async function putByParts(
  place: PartsPlace,
  bytes: Uint8Array,
  writeId: string,
  condition: Condition | undefined,
  patience: Patience,
): Promise<void> {
  const { connection, request } = place;
  const checks = (await connection.client.config.requestChecksumCalculation()) === 'WHEN_SUPPORTED';
  const ChecksumAlgorithm = checks ? 'CRC32' : undefined;
  const cut = { bytes: bytes.length, partBytes: PUT_PART_BYTES };
  const created = { Metadata: { [WRITE_ID]: writeId }, ChecksumAlgorithm } as const;
  await inParts(place, cut, created, { condition, patience }, async (part, start, end) => {
    const Body = bytes.subarray(start, end);
    const command = new UploadPartCommand({ ...part, Body, ChecksumAlgorithm });
    const send = (http: object) => connection.client.send(command, http);
    const { ETag, ChecksumCRC32 } = await request('put', send, { bytesOut: Body.length });
    return { ETag, ChecksumCRC32 };
  });
}

/**
 * Copies an object in parts on the server.
 * @param source as CopyObject takes it
 * @throws an error named `PreconditionFailed` where it was replaced meanwhile
 */
export async function copyByParts(place: PartsPlace, source: string, { bytes, etag }: ObjectInfo): Promise<void> {
  const { connection, request } = place;
  await inParts(place, { bytes, partBytes: COPIED_PART_BYTES }, {}, {}, async (part, start, end) => {
    const command = new UploadPartCopyCommand({
      ...part,
      CopySource: source,
      CopySourceIfMatch: etag,
      CopySourceRange: `bytes=${start}-${end - 1}`,
    });
    const { CopyPartResult } = await request('copy', (http) => connection.slowClient.send(command, http));
    return { ETag: CopyPartResult?.ETag };
  });
}

async function inParts(
  { address, connection, options, request }: PartsPlace,
  { bytes, partBytes }: { bytes: number; partBytes: number },
  created: { Metadata?: Record<string, string>; ChecksumAlgorithm?: ChecksumAlgorithm | undefined },
  { condition, patience }: { condition?: Condition | undefined; patience?: Patience },
  put: (
    part: { Bucket: string; Key: string; UploadId: string; PartNumber: number },
    start: number,
    end: number,
  ) => Promise<CompletedPart>,
): Promise<void> {
  const create = new CreateMultipartUploadCommand({ ...address, ...created });
  const { UploadId = '' } = await request('put', (http) => connection.client.send(create, http));
  try {
    const size = Math.max(partBytes, Math.ceil(bytes / MOST_PARTS));
    const starts = Array.from({ length: Math.ceil(bytes / size) }, (_, i) => i * size);
    const putPart = async (start: number, index: number) => {
      const PartNumber = index + 1;
      return {
        PartNumber,
        ...(await put({ ...address, UploadId, PartNumber }, start, Math.min(start + size, bytes))),
      };
    };
    const Parts = await mapWindow(starts, PARTS_AT_ONCE, putPart, options.signal);
    const complete = new CompleteMultipartUploadCommand({
      ...address,
      UploadId,
      MultipartUpload: { Parts },
      ...condition,
    });
    const send = (http: object) => connection.slowClient.send(complete, http);
    await request(condition ? 'putIf' : 'put', send, patience && { patience });
  } catch (error) {
    // Once, and not for long: what is thrown matters more.
    count('delete');
    const abort = new AbortMultipartUploadCommand({ ...address, UploadId });
    await connection.client.send(abort, { abortSignal: AbortSignal.timeout(ABORT_MS) }).catch(() => undefined);
    throw error;
  }
}

import { randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';
import {
  CopyObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { compareCodePoints } from '../../text/codePoints.js';
import {
  ObjectChanged,
  ObjectNotFound,
  StoreRefused,
  checkKey,
  checkRange,
  type ByteRange,
  type ObjectInfo,
  type ObjectStore,
  type StoreOptions,
} from './objectStore.js';
import type { Patience, StoreWait } from './patience.js';
import { count, type RequestKind } from './requestCounts.js';
import { S3Connection, isPassing, nameOf, persistently, statusOf, type S3Options } from './s3Connection.js';
import { WRITE_ID, copyByParts, putByParts, type Condition, type PartsPlace } from './s3Parts.js';

/** Objects above this are put in parts, each repeated alone where it fails. */
const PARTS_ABOVE_BYTES = 64 * 2 ** 20;
const DELETE_BATCH = 1000;

/**
 * An object store under a prefix of an S3 bucket. Requests that fail for a passing reason are repeated until the store answers, see
 * `patience.ts`. Conditional puts are exact under repetition: where the answer to a put was lost and its repetition is refused, the write id
 * in the object's metadata says whether the first attempt won. (One put that won, whose answer was lost and whose object was replaced
 * before it was repeated, is told that it lost: of that nothing is left to see.)
 * @throws {StoreRefused} from every operation where bucket, credentials or permission are missing, naming the remedy
 * @throws {StoreUnavailable} from every operation where the store does not answer for minutes
 */
export class S3Store implements ObjectStore {
  readonly url: string;
  private readonly connection: S3Connection;
  private readonly prefix: string;
  private readonly onWait: (wait: StoreWait) => void;

  /** @param prefix '' or a folder-like prefix inside the bucket, without slashes around it */
  constructor(
    private readonly bucket: string,
    prefix: string,
    options: S3Options = {},
  ) {
    this.prefix = prefix === '' ? '' : `${prefix}/`;
    this.url = `s3://${bucket}${prefix === '' ? '' : `/${prefix}`}`;
    this.connection = S3Connection.of(options);
    this.onWait = options.onWait ?? warn;
  }

  async get(key: string, options: StoreOptions = {}): Promise<Uint8Array> {
    return (await this.read(key, {}, options)).bytes;
  }

  async getRange(key: string, start: number, end: number, options: StoreOptions = {}): Promise<Uint8Array> {
    checkRange(key, start, end);
    return (await this.read(key, { start, end }, options)).bytes;
  }

  async *stream(key: string, range: ByteRange = {}, options: StoreOptions = {}): AsyncIterable<Uint8Array> {
    yield* this.pieces(key, range, options, {});
  }

  async getWithEtag(key: string, options: StoreOptions = {}): Promise<{ bytes: Uint8Array; etag: string } | undefined> {
    try {
      return await this.read(key, {}, options);
    } catch (error) {
      if (error instanceof ObjectNotFound) return undefined;
      throw error;
    }
  }

  async head(key: string, options: StoreOptions = {}): Promise<ObjectInfo | undefined> {
    const command = new HeadObjectCommand(this.address(key));
    try {
      const answer = await this.request('head', key, options, (http) => this.connection.client.send(command, http));
      const { ContentLength = 0, LastModified = new Date(0), ETag = '' } = answer;
      return { key, bytes: ContentLength, modified: LastModified, etag: ETag };
    } catch (error) {
      if (error instanceof ObjectNotFound) return undefined;
      throw error;
    }
  }

  async put(key: string, bytes: Uint8Array, options: StoreOptions = {}): Promise<void> {
    await this.write(key, bytes, undefined, options);
  }

  async putIfAbsent(key: string, bytes: Uint8Array, options: StoreOptions = {}): Promise<'written' | 'exists'> {
    return (await this.write(key, bytes, { IfNoneMatch: '*' }, options)) ? 'written' : 'exists';
  }

  async putIfMatch(
    key: string,
    bytes: Uint8Array,
    etag: string,
    options: StoreOptions = {},
  ): Promise<'written' | 'conflict'> {
    try {
      return (await this.write(key, bytes, { IfMatch: etag }, options)) ? 'written' : 'conflict';
    } catch (error) {
      if (error instanceof ObjectNotFound) return 'conflict'; // gone, so it does not have the etag
      throw error;
    }
  }

  async copy(from: string, to: string, options: StoreOptions = {}): Promise<void> {
    if (from === to) return; // S3 refuses to copy an object onto itself
    const source = this.address(from);
    const CopySource = `${source.Bucket}/${source.Key.split('/').map(encodeURIComponent).join('/')}`;
    const command = new CopyObjectCommand({ ...this.address(to), CopySource });
    try {
      await this.request('copy', from, options, (http) => this.connection.slowClient.send(command, http));
    } catch (error) {
      // Above 5 GiB, which S3 copies only in parts.
      if (nameOf(error) !== 'InvalidRequest') throw error;
      const info = await this.head(from, options);
      if (!info) throw new ObjectNotFound(this.url, from);
      await copyByParts(this.place(to, options), CopySource, info).catch((broken: unknown) => {
        throw nameOf(broken) === 'PreconditionFailed' ? new ObjectChanged(this.url, from) : broken;
      });
    }
  }

  async *list(prefix: string, options: StoreOptions = {}): AsyncIterable<ObjectInfo> {
    let token: string | undefined;
    let last = '';
    do {
      const command = new ListObjectsV2Command({
        Bucket: this.bucket,
        Prefix: this.prefix + prefix,
        ContinuationToken: token,
      });
      const page = await this.request('list', prefix, options, (http) => this.connection.client.send(command, http));
      for (const { Key = '', Size = 0, LastModified = new Date(0), ETag = '' } of page.Contents ?? []) {
        if (Key.endsWith('/')) continue; // folder markers of consoles and gateways are no objects of ours
        const key = Key.slice(this.prefix.length);
        if (compareCodePoints(last, key) >= 0 && last !== '') {
          throw new Error(`datasets: ${this.url} lists '${key}' after '${last}'; S3 promises code-point order`);
        }
        last = key;
        yield { key, bytes: Size, modified: LastModified, etag: ETag };
      }
      token = page.IsTruncated ? page.NextContinuationToken : undefined;
    } while (token !== undefined);
  }

  async delete(keys: readonly string[], options: StoreOptions = {}): Promise<void> {
    for (let at = 0; at < keys.length; at += DELETE_BATCH) {
      const patience = this.patience(options);
      let wanted = keys.slice(at, at + DELETE_BATCH).map((key) => ({ Key: this.address(key).Key }));
      while (wanted.length > 0) {
        const command = new DeleteObjectsCommand({ Bucket: this.bucket, Delete: { Objects: wanted, Quiet: true } });
        const send = (http: Http) => this.connection.client.send(command, http);
        const { Errors = [] } = await this.request('delete', '', options, send, { patience });
        const failed = Errors.filter(({ Code }) => Code !== 'NoSuchKey');
        if (failed.length === 0) break;
        const [{ Key, Code, Message }] = failed;
        const error = new Error(`datasets: cannot delete '${Key}' in s3://${this.bucket}: ${Code} ${Message}`);
        if (Code === 'AccessDenied') throw this.explained(Object.assign(error, { name: Code }), Key ?? '');
        if (!isPassing(Object.assign(error, { name: Code }))) throw error;
        await patience.pause(error);
        wanted = failed.map((failure) => ({ Key: failure.Key ?? '' }));
      }
    }
  }

  private address(key: string): { Bucket: string; Key: string } {
    checkKey(key);
    return { Bucket: this.bucket, Key: this.prefix + key };
  }

  /** One version of an object, or of a range of it, whole. */
  private async read(
    key: string,
    range: ByteRange,
    options: StoreOptions,
  ): Promise<{ bytes: Uint8Array; etag: string }> {
    for (;;) {
      const version: Version = {};
      const pieces: Uint8Array[] = [];
      try {
        for await (const piece of this.pieces(key, range, options, version)) pieces.push(piece);
      } catch (error) {
        if (error instanceof ObjectChanged) continue;
        throw error;
      }
      return { bytes: pieces.length === 1 ? pieces[0] : Buffer.concat(pieces), etag: version.etag ?? '' };
    }
  }

  /** The pieces of one version, which is told by `version`. A body that breaks off or falls silent is asked for again from the byte reached. */
  private async *pieces(
    key: string,
    { start = 0, end = Infinity }: ByteRange,
    options: StoreOptions,
    version: Version,
  ): AsyncGenerator<Uint8Array> {
    checkRange(key, start, end);
    if (start === end) {
      if (await this.head(key, options)) return;
      throw new ObjectNotFound(this.url, key);
    }
    const patience = this.patience(options);
    for (let at = start; ;) {
      const whole = at === 0 && end === Infinity;
      const command = new GetObjectCommand({
        ...this.address(key),
        Range: whole ? undefined : `bytes=${at}-${end === Infinity ? '' : end - 1}`,
        IfMatch: version.etag,
      });
      let broke: unknown;
      try {
        const answer = await this.request('get', key, options, (http) => this.connection.client.send(command, http), {
          patience,
        });
        if (!answer.Body || !answer.ETag || answer.ContentLength === undefined)
          throw new Error(`datasets: ${this.url} answered '${key}' without body, etag or length`);
        version.etag = answer.ETag;
        let left = answer.ContentLength;
        try {
          for await (const piece of answer.Body as Readable as AsyncIterable<Buffer>) {
            at += piece.length;
            left -= piece.length;
            count('bytesIn', piece.length);
            patience.renew();
            yield piece;
          }
        } catch (error) {
          options.signal?.throwIfAborted();
          if (error instanceof Error && error.message.startsWith('Checksum mismatch')) throw error;
          broke = error;
        }
        if (left === 0) return;
      } catch (error) {
        if (nameOf(error) === 'InvalidRange') return; // it ends before `start`
        if (nameOf(error) === 'PreconditionFailed') throw new ObjectChanged(this.url, key);
        throw error;
      }
      await patience.pause(broke ?? new Error(`the answer broke off at byte ${at}`));
    }
  }

  /** @returns whether it was written: false where the condition did not hold */
  private async write(
    key: string,
    bytes: Uint8Array,
    condition: Condition | undefined,
    options: StoreOptions,
  ): Promise<boolean> {
    const writeId = randomUUID();
    const patience = this.patience(options);
    try {
      if (bytes.length > PARTS_ABOVE_BYTES)
        await putByParts(this.place(key, options), bytes, writeId, condition, patience);
      else {
        const Metadata = { [WRITE_ID]: writeId };
        const command = new PutObjectCommand({
          ...this.address(key),
          Body: bytes,
          ...(condition && { Metadata, ...condition }),
        });
        const send = (http: Http) => this.connection.client.send(command, http);
        const kind = condition ? 'putIf' : 'put';
        await this.request(kind, key, options, send, { patience, bytesOut: bytes.length });
      }
      return true;
    } catch (error) {
      const refused = condition !== undefined && nameOf(error) === 'PreconditionFailed';
      if (!refused && nameOf(error) !== 'NoSuchUpload') throw error;
      if (patience.failures > 0 && (await this.wasWritten(key, writeId, options))) return true;
      if (!refused) throw error;
      return false;
    }
  }

  private async wasWritten(key: string, writeId: string, options: StoreOptions): Promise<boolean> {
    const command = new HeadObjectCommand(this.address(key));
    const answer = await this.request('head', key, options, (http) => this.connection.client.send(command, http));
    return answer.Metadata?.[WRITE_ID] === writeId;
  }

  private place(key: string, options: StoreOptions): PartsPlace {
    return {
      address: this.address(key),
      connection: this.connection,
      options,
      request: (kind, send, more) => this.request(kind, key, options, send, more),
    };
  }

  private patience(options: StoreOptions): Patience {
    return this.connection.patience(this.url, this.onWait, options);
  }

  private async request<T>(
    kind: RequestKind,
    key: string,
    options: StoreOptions,
    send: (http: Http) => Promise<T>,
    { patience = this.patience(options), bytesOut = 0 }: { patience?: Patience; bytesOut?: number } = {},
  ): Promise<T> {
    options.signal?.throwIfAborted();
    try {
      return await persistently(patience, { kind, bytesOut, signal: options.signal }, send);
    } catch (error) {
      throw this.explained(error, key);
    }
  }

  private explained(error: unknown, key: string): unknown {
    const name = nameOf(error);
    if (name === 'NoSuchKey' || name === 'NotFound') return new ObjectNotFound(this.url, key);
    const remedy =
      name === 'NoSuchBucket'
        ? `bucket '${this.bucket}' does not exist; create it, or check AWS_ENDPOINT_URL and AWS_REGION`
        : name === 'CredentialsProviderError'
          ? 'no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or run where a role is attached'
          : ['InvalidAccessKeyId', 'SignatureDoesNotMatch', 'ExpiredToken', 'InvalidToken'].includes(name)
            ? `the credentials are refused (${name}); check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN`
            : name === 'AccessDenied' || statusOf(error) === 403
              ? `access to '${this.prefix}${key}' is denied; the credentials need s3:ListBucket, GetObject, PutObject, DeleteObject and AbortMultipartUpload`
              : undefined;
    return remedy ? new StoreRefused(`datasets: ${this.url}: ${remedy}`, { cause: error }) : error;
  }
}

/** What a sent command is given besides. */
type Http = { abortSignal: AbortSignal | undefined };
/** Which version of an object is read. */
type Version = { etag?: string };

function warn({ store, cause, seconds, over }: StoreWait): void {
  const waited = `${Math.round(seconds)} s`;
  process.emitWarning(
    over
      ? `${store} answers again after ${waited}`
      : `${store} does not answer (${cause}); waiting for it since ${waited}`,
    'StoreWait',
  );
}

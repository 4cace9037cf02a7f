import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CopyObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import { compareCodePoints } from '../../text/codePoints.js';
import { checkRange } from './folder.js';
import {
  ObjectNotFound,
  StoreRefused,
  checkKey,
  type ObjectInfo,
  type ObjectStore,
  type StoreOptions,
} from './objectStore.js';

/**
 * How to reach S3. Everything else is the standard AWS environment: AWS_ENDPOINT_URL, AWS_REGION, the credentials chain,
 * AWS_REQUEST_CHECKSUM_CALCULATION and AWS_RESPONSE_CHECKSUM_VALIDATION.
 */
export interface S3Options {
  /** Server of an S3-compatible store; default AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL. Path-style addresses are used where it is set. */
  endpoint?: string | undefined;
  /** Default AWS_REGION, else us-east-1. */
  region?: string | undefined;
  /** Default: the SDK's credentials chain. */
  credentials?: { accessKeyId: string; secretAccessKey: string; sessionToken?: string } | undefined;
  /** Attempts of a request that fails for a passing reason: 5xx, throttling, a broken connection. Default 5. */
  maxAttempts?: number | undefined;
}

const DELETE_BATCH = 1000;
/** Metadata entry that tells one put from another with equal bytes. */
const WRITE_ID = 'koine-write';

/**
 * An object store under a prefix of an S3 bucket. Objects are put in one request (S3 allows 5 GiB), so there are no multipart
 * uploads to abandon. Conditional puts are exact under retries: where the answer to a put was lost and its repetition is refused,
 * the write id in the object's metadata says whether the first attempt won.
 * @throws {StoreRefused} from every operation where bucket, credentials or permission are missing, naming the remedy
 */
export class S3Store implements ObjectStore {
  readonly url: string;
  private readonly client: S3Client;
  private readonly prefix: string;
  private readonly maxAttempts: number;

  /** @param prefix '' or a folder-like prefix inside the bucket, without slashes around it */
  constructor(
    private readonly bucket: string,
    prefix: string,
    options: S3Options = {},
  ) {
    this.prefix = prefix === '' ? '' : `${prefix}/`;
    this.url = `s3://${bucket}${prefix === '' ? '' : `/${prefix}`}`;
    this.maxAttempts = options.maxAttempts ?? 5;
    const endpoint = options.endpoint ?? process.env.AWS_ENDPOINT_URL_S3 ?? process.env.AWS_ENDPOINT_URL;
    this.client = new S3Client({
      region: options.region ?? process.env.AWS_REGION ?? 'us-east-1',
      maxAttempts: this.maxAttempts,
      ...(endpoint ? { endpoint, forcePathStyle: true } : {}),
      ...(options.credentials ? { credentials: options.credentials } : {}),
    });
  }

  async get(key: string, options: StoreOptions = {}): Promise<Uint8Array> {
    const { bytes } = await this.read(key, undefined, options);
    return bytes;
  }

  async getRange(key: string, start: number, end: number, options: StoreOptions = {}): Promise<Uint8Array> {
    checkRange(key, start, end);
    if (start === end) {
      if (await this.head(key, options)) return new Uint8Array(0);
      throw new ObjectNotFound(this.url, key);
    }
    try {
      const { bytes } = await this.read(key, `bytes=${start}-${end - 1}`, options);
      return bytes;
    } catch (error) {
      if (nameOf(error) === 'InvalidRange') return new Uint8Array(0); // it ends before `start`
      throw error;
    }
  }

  async getWithEtag(key: string, options: StoreOptions = {}): Promise<{ bytes: Uint8Array; etag: string } | undefined> {
    try {
      return await this.read(key, undefined, options);
    } catch (error) {
      if (error instanceof ObjectNotFound) return undefined;
      throw error;
    }
  }

  async head(key: string, options: StoreOptions = {}): Promise<ObjectInfo | undefined> {
    const command = new HeadObjectCommand(this.address(key));
    try {
      const answer = await this.request(() => this.client.send(command, { abortSignal: options.signal }), key);
      return { key, bytes: answer.ContentLength ?? 0, modified: answer.LastModified ?? new Date(0) };
    } catch (error) {
      if (error instanceof ObjectNotFound) return undefined;
      throw error;
    }
  }

  async put(key: string, bytes: Uint8Array, options: StoreOptions = {}): Promise<void> {
    const command = new PutObjectCommand({ ...this.address(key), Body: bytes });
    await this.request(() => this.client.send(command, { abortSignal: options.signal }), key);
  }

  async putIfAbsent(key: string, bytes: Uint8Array, options: StoreOptions = {}): Promise<'written' | 'exists'> {
    return (await this.putIf(key, bytes, { IfNoneMatch: '*' }, options)) ? 'written' : 'exists';
  }

  async putIfMatch(
    key: string,
    bytes: Uint8Array,
    etag: string,
    options: StoreOptions = {},
  ): Promise<'written' | 'conflict'> {
    try {
      return (await this.putIf(key, bytes, { IfMatch: etag }, options)) ? 'written' : 'conflict';
    } catch (error) {
      if (error instanceof ObjectNotFound) return 'conflict'; // gone, so it does not have the etag
      throw error;
    }
  }

  async copy(from: string, to: string, options: StoreOptions = {}): Promise<void> {
    if (from === to) return; // S3 refuses to copy an object onto itself
    const source = this.address(from);
    const command = new CopyObjectCommand({
      ...this.address(to),
      CopySource: `${source.Bucket}/${source.Key.split('/').map(encodeURIComponent).join('/')}`,
    });
    await this.request(() => this.client.send(command, { abortSignal: options.signal }), from);
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
      const page = await this.request(() => this.client.send(command, { abortSignal: options.signal }), prefix);
      for (const { Key = '', Size = 0, LastModified = new Date(0) } of page.Contents ?? []) {
        if (Key.endsWith('/')) continue; // folder markers of consoles and gateways are no objects of ours
        const key = Key.slice(this.prefix.length);
        if (compareCodePoints(last, key) >= 0 && last !== '') {
          throw new Error(`datasets: ${this.url} lists '${key}' after '${last}'; S3 promises code-point order`);
        }
        last = key;
        yield { key, bytes: Size, modified: LastModified };
      }
      token = page.IsTruncated ? page.NextContinuationToken : undefined;
    } while (token !== undefined);
  }

  async delete(keys: readonly string[], options: StoreOptions = {}): Promise<void> {
    for (let at = 0; at < keys.length; at += DELETE_BATCH) {
      const Objects = keys.slice(at, at + DELETE_BATCH).map((key) => ({ Key: this.address(key).Key }));
      const command = new DeleteObjectsCommand({ Bucket: this.bucket, Delete: { Objects, Quiet: true } });
      const answer = await this.request(() => this.client.send(command, { abortSignal: options.signal }), '');
      const failure = answer.Errors?.find(({ Code }) => Code !== 'NoSuchKey');
      if (failure) {
        throw new Error(
          `datasets: cannot delete '${failure.Key}' in s3://${this.bucket}: ${failure.Code} ${failure.Message}`,
        );
      }
    }
  }

  private address(key: string): { Bucket: string; Key: string } {
    checkKey(key);
    return { Bucket: this.bucket, Key: this.prefix + key };
  }

  /** A GET with its body. The SDK retries requests only up to the answer's header; a body that breaks off is asked for again. */
  private async read(
    key: string,
    range: string | undefined,
    { signal }: StoreOptions,
  ): Promise<{ bytes: Uint8Array; etag: string }> {
    const command = new GetObjectCommand({ ...this.address(key), Range: range });
    for (let attempt = 1; ; attempt++) {
      const answer = await this.request(() => this.client.send(command, { abortSignal: signal }), key);
      try {
        if (!answer.Body || !answer.ETag)
          throw new Error(`datasets: ${this.url} answered '${key}' without body or etag`);
        const bytes = await answer.Body.transformToByteArray();
        if (answer.ContentLength !== undefined && bytes.length !== answer.ContentLength) {
          throw new Error(`datasets: '${key}' broke off after ${bytes.length} of ${answer.ContentLength} bytes`);
        }
        return { bytes, etag: answer.ETag };
      } catch (error) {
        signal?.throwIfAborted();
        if (attempt >= this.maxAttempts) throw error;
        await sleep(backoffMs(attempt), undefined, { signal });
      }
    }
  }

  private async putIf(
    key: string,
    bytes: Uint8Array,
    condition: { IfNoneMatch: '*' } | { IfMatch: string },
    options: StoreOptions,
  ): Promise<boolean> {
    const writeId = randomUUID();
    const command = new PutObjectCommand({
      ...this.address(key),
      Body: bytes,
      Metadata: { [WRITE_ID]: writeId },
      ...condition,
    });
    for (let attempt = 1; ; attempt++) {
      try {
        await this.request(() => this.client.send(command, { abortSignal: options.signal }), key);
        return true;
      } catch (error) {
        if (nameOf(error) === 'PreconditionFailed') {
          const attempts = (error as S3ServiceException).$metadata.attempts ?? 1;
          return (attempts > 1 || attempt > 1) && (await this.wasWritten(key, writeId, options));
        }
        // Two conditional puts met in the server; neither outcome is decided.
        if (nameOf(error) !== 'ConditionalRequestConflict' || attempt >= this.maxAttempts) throw error;
        await sleep(backoffMs(attempt), undefined, { signal: options.signal });
      }
    }
  }

  private async wasWritten(key: string, writeId: string, options: StoreOptions): Promise<boolean> {
    const command = new HeadObjectCommand(this.address(key));
    const answer = await this.request(() => this.client.send(command, { abortSignal: options.signal }), key);
    return answer.Metadata?.[WRITE_ID] === writeId;
  }

  private async request<T>(send: () => Promise<T>, key: string): Promise<T> {
    try {
      return await send();
    } catch (error) {
      const name = nameOf(error);
      const status = error instanceof S3ServiceException ? error.$metadata.httpStatusCode : undefined;
      if (name === 'NoSuchKey' || name === 'NotFound') throw new ObjectNotFound(this.url, key);
      const remedy =
        name === 'NoSuchBucket'
          ? `bucket '${this.bucket}' does not exist; create it, or check AWS_ENDPOINT_URL and AWS_REGION`
          : name === 'CredentialsProviderError'
            ? 'no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or run where a role is attached'
            : name === 'InvalidAccessKeyId' || name === 'SignatureDoesNotMatch' || name === 'ExpiredToken'
              ? `the credentials are refused (${name}); check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN`
              : name === 'AccessDenied' || status === 403
                ? `access to '${this.prefix}${key}' is denied; the credentials need s3:ListBucket, GetObject, PutObject and DeleteObject`
                : undefined;
      if (remedy) throw new StoreRefused(`datasets: ${this.url}: ${remedy}`, { cause: error });
      throw error;
    }
  }
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : '';
}

function backoffMs(attempt: number): number {
  return Math.min(2000, 50 * 2 ** attempt) * (0.5 + Math.random() / 2);
}

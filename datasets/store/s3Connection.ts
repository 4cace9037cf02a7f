import { S3Client, S3ServiceException } from '@aws-sdk/client-s3';
import { Patience, PATIENCE, ServerState, type PatienceLimits, type StoreWait } from './patience.js';
import type { StoreOptions } from './objectStore.js';
import { count, type RequestKind } from './requestCounts.js';

/**
 * How to reach S3. Everything else is the standard AWS environment: AWS_ENDPOINT_URL, AWS_REGION, AWS_DEFAULT_REGION, AWS_PROFILE, the
 * credentials chain, AWS_REQUEST_CHECKSUM_CALCULATION and AWS_RESPONSE_CHECKSUM_VALIDATION.
 */
export interface S3Options {
  /** Server of an S3-compatible store; default AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL. Path-style addresses are used where it is set. */
  endpoint?: string | undefined;
  /** Default AWS_REGION, AWS_DEFAULT_REGION, the region of the profile, us-east-1. */
  region?: string | undefined;
  /** Default: the SDK's credentials chain. */
  credentials?: { accessKeyId: string; secretAccessKey: string; sessionToken?: string } | undefined;
  /** Changes to how long the store is waited for. */
  patience?: Partial<PatienceLimits> | undefined;
  /** Changes to when a request is given up and repeated. */
  timeouts?: Partial<Timeouts> | undefined;
  /** Told once when a store has been waited for a while, and once when it answers again. Default: a warning of the process. */
  onWait?: ((wait: StoreWait) => void) | undefined;
}

/** When one attempt of a request is given up. */
export interface Timeouts {
  /** No connection came about. */
  connectMs: number;
  /** Nothing was sent or received. */
  silenceMs: number;
}

const TIMEOUTS: Timeouts = { connectMs: 10_000, silenceMs: 60_000 };
/** Requests that the server may think about for long: copies of gigabytes, putting thousands of parts together. */
const SLOW_SILENCE_MS = 600_000;
/** Connections to one server: several windows of 32 requests. The SDK's default of 50 would make them wait for each other. */
const CONNECTIONS = 256;

/** Clients by what they were made from, so that a process has one connection pool a server however often a store is opened. */
const connections = new Map<string, S3Connection>();

/** The clients of one server, and what is known of it. */
export class S3Connection {
  readonly server = new ServerState();
  readonly client: S3Client;
  /** The same for requests that the server may think about for long. */
  readonly slowClient: S3Client;

  private constructor(
    endpoint: string | undefined,
    region: string | undefined,
    credentials: S3Options['credentials'],
    private readonly patienceLimits: PatienceLimits,
    { connectMs, silenceMs }: Timeouts,
  ) {
    const agent = { keepAlive: true, maxSockets: CONNECTIONS };
    const client = (socketTimeout: number) =>
      new S3Client({
        region: region ?? defaultRegion,
        followRegionRedirects: true,
        maxAttempts: 1, // repeated here: the SDK's quota of retries is used up by an outage, and then every request has one attempt
        requestHandler: { connectionTimeout: connectMs, socketTimeout, httpAgent: agent, httpsAgent: agent },
        ...(endpoint ? { endpoint, forcePathStyle: true } : {}),
        ...(credentials ? { credentials } : {}),
      });
    this.client = client(silenceMs);
    this.slowClient = client(Math.max(silenceMs, SLOW_SILENCE_MS));
  }

  /** The connection that these options describe; the same for the same options. */
  static of(options: S3Options): S3Connection {
    const endpoint = options.endpoint ?? process.env.AWS_ENDPOINT_URL_S3 ?? process.env.AWS_ENDPOINT_URL;
    const { region, credentials } = options;
    const patience = { ...PATIENCE, ...options.patience };
    const timeouts = { ...TIMEOUTS, ...options.timeouts };
    const name = JSON.stringify([endpoint, region, credentials, patience, timeouts]);
    const known = connections.get(name) ?? new S3Connection(endpoint, region, credentials, patience, timeouts);
    connections.set(name, known);
    return known;
  }

  /** The patience of one request. */
  patience(store: string, onWait: (wait: StoreWait) => void, options: StoreOptions): Patience {
    return new Patience(store, this.server, this.patienceLimits, onWait, options);
  }
}

/** What a request is, besides what is sent. */
export interface Asking {
  kind: RequestKind;
  /** Bytes of its body. */
  bytesOut?: number;
  signal: AbortSignal | undefined;
}

/**
 * Sends a request again and again until it gets an answer that no repetition would change.
 * @throws {StoreUnavailable} where that takes too long; what the server answered; the reason of the signal
 */
export async function persistently<T>(
  patience: Patience,
  { kind, bytesOut = 0, signal }: Asking,
  send: (http: { abortSignal: AbortSignal | undefined }) => Promise<T>,
): Promise<T> {
  for (;;) {
    count(kind);
    if (patience.failures > 0) count('retries');
    count('bytesOut', bytesOut);
    try {
      const answer = await send({ abortSignal: signal });
      patience.renew();
      return answer;
    } catch (error) {
      signal?.throwIfAborted();
      if (statusOf(error) !== undefined) patience.answered();
      if (!isPassing(error)) throw error;
      await patience.pause(error, askedPause(error));
    }
  }
}

/** Name of an error, which for an answer of S3 is its code. */
export function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : '';
}

/** HTTP status of an answer that is an error. */
export function statusOf(error: unknown): number | undefined {
  return error instanceof S3ServiceException ? error.$metadata.httpStatusCode : undefined;
}

const PASSING_STATUSES = [408, 429, 500, 502, 503, 504];
const PASSING_NAMES = [
  'TimeoutError', // the SDK's, of connections and silence
  'RequestTimeout',
  'SlowDown',
  'InternalError',
  'ServiceUnavailable',
  'ThrottlingException',
  'ConditionalRequestConflict', // two conditional puts met in the server; neither outcome is decided
  'OperationAborted',
  'RequestTimeTooSkewed', // the SDK corrects its clock by the answer
];
const PASSING_CODES = [
  'ECONNRESET',
  'ECONNREFUSED',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENETDOWN',
  'ENOTFOUND',
  'EAI_AGAIN',
];

/** Whether a repetition may end otherwise: throttling, 5xx, a broken or silent connection. */
export function isPassing(error: unknown, depth = 0): boolean {
  if (!(error instanceof Error) || depth > 5) return false;
  return (
    PASSING_NAMES.includes(error.name) ||
    PASSING_STATUSES.includes(statusOf(error) ?? 0) ||
    PASSING_CODES.includes(String((error as NodeJS.ErrnoException).code)) ||
    isPassing(error.cause, depth + 1)
  );
}

/** Whether the server asks for fewer requests, and for how long. */
function askedPause(error: unknown): { milliseconds: number } | undefined {
  if (!(error instanceof S3ServiceException)) return undefined;
  const after = Number(error.$response?.headers['retry-after']);
  if (after > 0) return { milliseconds: after * 1000 };
  return error.name === 'SlowDown' || [429, 503].includes(statusOf(error) ?? 0) ? { milliseconds: 0 } : undefined;
}

let region: Promise<string> | undefined;
/** As the AWS command line finds it; servers that have no regions take any. */
function defaultRegion(): Promise<string> {
  region ??= (async () => {
    if (!process.env.AWS_REGION && process.env.AWS_DEFAULT_REGION) return process.env.AWS_DEFAULT_REGION;
    try {
      return await new S3Client({}).config.region();
    } catch (error) {
      if (error instanceof Error && error.message === 'Region is missing') return 'us-east-1';
      throw error;
    }
  })();
  return region;
}

import { createHash } from 'node:crypto';
import { canonicalJson } from './canonicalJson.js';

/** SHA-256 of bytes, 64 lower-case hex digits. */
export function sha256Hex(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** SHA-256 of the canonical JSON of a value: equal content, equal digest. @throws TypeError where it is not JSON */
export function digestJson(value: unknown): string {
  return sha256Hex(canonicalJson(value));
}

import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { FolderStore } from './folder.js';
import type { ObjectStore } from './objectStore.js';
import { S3Store } from './s3.js';
import type { S3Options } from './s3Connection.js';

/**
 * The object store a URL names: `s3://bucket/prefix`, `file:///abs/folder`, or a folder path (relative ones from the working
 * directory). Opening makes no request and no folder.
 * @throws RangeError where the URL is neither
 */
export function openStore(url: string, s3: S3Options = {}): ObjectStore {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(url)?.[1]?.toLowerCase();
  if (scheme === 's3') {
    const [bucket = '', ...segments] = url.slice('s3://'.length).split('/');
    const prefix = segments.filter((segment) => segment !== '');
    if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket)) {
      throw new RangeError(`datasets: '${bucket}' in '${url}' is no bucket name (3 to 63 of a-z, 0-9, '.', '-')`);
    }
    return new S3Store(bucket, prefix.join('/'), s3);
  }
  if (scheme === 'file') return new FolderStore(path.resolve(fileURLToPath(url)));
  if (scheme !== undefined || url === '') {
    throw new RangeError(`datasets: '${url}' is no store; give a folder, file:///abs/folder or s3://bucket/prefix`);
  }
  return new FolderStore(path.resolve(url));
}

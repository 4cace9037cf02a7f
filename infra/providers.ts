// What each execution provider of ONNX Runtime needs on this machine.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { finding, type Finding } from './check.js';

const run = promisify(execFile);

/** One check a provider, by name. */
export function checkProviders(root: string): Record<string, () => Finding | Promise<Finding>> {
  return { 'provider cpu': checkCpu, 'provider cuda': () => checkCuda(root), 'provider webgpu': checkWebgpu };
}

/** NVIDIA cards by the driver's own word. */
export async function checkGraphicsCard(): Promise<Finding> {
  const cards = await nvidiaCards();
  if (cards) return finding('ok', cards.join(', '));
  if (!existsSync('/dev/nvidiactl')) return finding('ok', 'none; inference runs on the CPU');
  return finding('warn', 'there is an NVIDIA device but nvidia-smi does not answer', 'install the NVIDIA driver tools');
}

async function nvidiaCards(): Promise<string[] | null> {
  try {
    const { stdout } = await run('nvidia-smi', ['--query-gpu=name,memory.total', '--format=csv,noheader']);
    return stdout.trim().split('\n');
  } catch {
    return null; // no driver, no card, or no permission: no usable card either way
  }
}

/** Folder of the native library, for this platform. */
function nativeFolder(): string {
  const main = createRequire(import.meta.url).resolve('onnxruntime-node');
  return join(dirname(dirname(main)), 'bin/napi-v6', process.platform, process.arch);
}

async function checkCpu(): Promise<Finding> {
  try {
    const { listSupportedBackends } = await import('onnxruntime-node');
    return finding(
      'ok',
      `ONNX Runtime loads; it lists ${listSupportedBackends()
        .map(({ name }) => name)
        .join(', ')}`,
    );
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return finding('missing', why, 'npm ci on a system with glibc (Alpine/musl will not do)');
  }
}

async function checkCuda(root: string): Promise<Finding> {
  if (!(await nvidiaCards())) return finding('ok', 'not used: no NVIDIA GPU here');
  const library = join(nativeFolder(), 'libonnxruntime_providers_cuda.so');
  if (!existsSync(library)) {
    // The npm package leaves them out, and koine skips its download because that fails the whole install when offline.
    const install = `ONNXRUNTIME_NODE_INSTALL=true node ${join(root, 'node_modules/onnxruntime-node/script/install')}`;
    return finding('warn', 'a GPU is here, the CUDA provider is not', `${install}; or use the image of infra/docker`);
  }
  const { stdout } = await run('ldd', [library]);
  const missing = [...stdout.matchAll(/^\s*(\S+) => not found/gm)].map(([, name]) => name);
  return missing.length === 0
    ? finding('ok', library)
    : finding('warn', `${library} lacks ${missing.join(', ')}`, 'put CUDA 12 and cuDNN 9 on the loader path');
}

async function checkWebgpu(): Promise<Finding> {
  if (process.platform !== 'linux') return finding('ok', 'bundled');
  const { stdout } = await run('ldconfig', ['-p'], { env: { PATH: `${process.env.PATH}:/sbin:/usr/sbin` } });
  if (stdout.includes('libvulkan.so.1')) return finding('ok', 'bundled; libvulkan is there (needs a GPU adapter too)');
  return (await nvidiaCards())
    ? finding('warn', 'libvulkan.so.1 is not there', 'install libvulkan1 and the Vulkan driver of the card')
    : finding('ok', 'not used: no libvulkan here');
}

import { readFile } from 'node:fs/promises';
import { InferenceSession } from 'onnxruntime-node';
import { describeTensor, ModelRefused, sameTensor, type TensorSpec } from './card.js';
import type { Provider } from './graphBatch.js';
import { opsetOf } from '../onnx/reader.js';
import { sha256Hex, type ResolvedModel } from './store.js';

/** The configured execution provider cannot run here; the message says how to add it. koine never falls back silently. */
export class ProviderUnavailable extends Error {
  override readonly name = 'ProviderUnavailable';
}

/** What a thread must know to run a model; part of a resolved model that is cheap to send with every batch. */
export interface Encoder {
  id: string;
  onnxPath: string;
  onnxSha256: string;
  /** Tells cards of one ONNX file apart: each is checked against the file on its own. */
  cardSha256: string;
  dim: number;
  opset: number;
  inputs: Record<string, TensorSpec>;
  outputs: Record<string, TensorSpec>;
}

/** The {@link Encoder} of a resolved model. */
export function encoderOf({ card, cardSha256, onnxPath, onnxSha256 }: ResolvedModel): Encoder {
  const { id, embedding, opset, inputs, outputs } = card;
  return { id, onnxPath, onnxSha256, cardSha256, dim: embedding.dim, opset, inputs, outputs };
}

/**
 * Options of every session. One thread each, always: `ScatterND(reduction=add)` of the CPU provider is a data race with
 * more, silently wrong by up to several RMS and different from run to run. Parallelism is many sessions.
 */
export function sessionOptions(provider: Provider): InferenceSession.SessionOptions {
  return {
    executionProviders: [provider],
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    logSeverityLevel: 3, // errors only: warnings about constant folding and provider assignment are not the user's concern
  };
}

/**
 * Reads an ONNX file, checks that it is the file and the network that the card describes, and makes a session of it.
 * @throws ModelRefused if digest, opset, inputs or outputs differ from the card, or ONNX Runtime cannot load the file
 * @throws ProviderUnavailable if only the provider stands in the way
 */
export async function loadSession(encoder: Encoder, provider: Provider): Promise<InferenceSession> {
  const { id, onnxPath } = encoder;
  const bytes = await readFile(onnxPath);
  const sha256 = sha256Hex(bytes);
  if (sha256 !== encoder.onnxSha256) {
    throw new ModelRefused(
      `models/session: ${onnxPath} has SHA-256 ${sha256}, but ${encoder.onnxSha256} was resolved for '${id}'; it changed on disk, resolve it again`,
    );
  }
  checkOpset(encoder, bytes);
  const session = await createSession(encoder, bytes, provider);
  try {
    checkTensors(id, 'input', encoder.inputs, session.inputMetadata, true);
    checkTensors(id, 'output', encoder.outputs, session.outputMetadata, false);
  } catch (error) {
    await session.release();
    throw error;
  }
  return session;
}

function checkOpset({ id, opset }: Encoder, bytes: Uint8Array): void {
  let found: number | null;
  try {
    found = opsetOf(bytes);
  } catch (error) {
    throw new ModelRefused(
      `models/session: the ONNX file of '${id}' is not an ONNX model: ${(error as Error).message}`,
    );
  }
  if (found !== opset) {
    throw new ModelRefused(
      `models/session: the card of '${id}' says opset ${opset}, its ONNX file imports ${found ?? 'none'}; correct the card`,
    );
  }
}

async function createSession({ id }: Encoder, bytes: Uint8Array, provider: Provider): Promise<InferenceSession> {
  try {
    return await InferenceSession.create(bytes, sessionOptions(provider));
  } catch (error) {
    const reason = (error as Error).message;
    const refused = new ModelRefused(`models/session: ONNX Runtime cannot load '${id}': ${reason}`);
    if (provider === 'cpu') throw refused;
    // Is it the model or the provider? The same file on the CPU, which is always there, decides.
    const onCpu = await InferenceSession.create(bytes, sessionOptions('cpu')).catch(() => undefined);
    if (!onCpu) throw refused;
    await onCpu.release();
    throw new ProviderUnavailable(
      `models/session: execution provider '${provider}' is not available: ${reason.trim()} ${HOW_TO_ADD[provider]}; or choose provider 'cpu'`,
    );
  }
}

const HOW_TO_ADD: Record<Exclude<Provider, 'cpu'>, string> = {
  cuda:
    'To add it (linux/x64): run `ONNXRUNTIME_NODE_INSTALL=true node node_modules/onnxruntime-node/script/install`, which fetches the ' +
    'CUDA libraries of ONNX Runtime, with the CUDA 12 runtime and cuDNN 9 on the loader path',
  webgpu: 'To add it: install a Vulkan loader (libvulkan.so.1) and the driver of the GPU',
};

function checkTensors(
  id: string,
  role: 'input' | 'output',
  stated: Record<string, TensorSpec>,
  found: readonly InferenceSession.ValueMetadata[],
  exhaustive: boolean,
): void {
  const remedy = `correct the card of '${id}' or export the model again`;
  for (const [name, spec] of Object.entries(stated)) {
    const actual = found.find((tensor) => tensor.name === name);
    if (!actual) {
      const names = found.map((tensor) => tensor.name).join(', ');
      throw new ModelRefused(
        `models/session: ${role} '${name}' of the card is not in the ONNX file (it has ${names}); ${remedy}`,
      );
    }
    if (!actual.isTensor || !sameTensor(spec, actual)) {
      const is = actual.isTensor ? describeTensor(actual) : 'not a tensor';
      throw new ModelRefused(
        `models/session: ${role} '${name}' is ${describeTensor(spec)} on the card but ${is} in the ONNX file; ${remedy}`,
      );
    }
  }
  if (!exhaustive) return;
  const missing = found.find((tensor) => !(tensor.name in stated));
  if (missing)
    throw new ModelRefused(
      `models/session: the network asks for ${role} '${missing.name}', which the card does not list; ${remedy}`,
    );
}

import { InferenceSession, Tensor } from 'onnxruntime-node';
import { encodeOnnxModel, type OnnxGraph } from '../../onnx/writer.js';

/** Where kernels run. */
export interface KernelOptions {
  /** ONNX Runtime execution provider; the CPU one serves every operator in float64, others may not. */
  provider?: 'cpu' | 'cuda' | 'webgpu';
  /** Threads inside one operator. One by default: results then do not depend on the machine, and workers parallelise better. */
  threads?: number;
}

/** Typed arrays that a kernel takes and gives. */
export type KernelArray = Float32Array | Float64Array | Int32Array | BigInt64Array;

/** An array with its shape, row-major. */
export interface KernelTensor {
  data: KernelArray;
  shape: readonly number[];
}

function toTensor(name: string, { data, shape }: KernelTensor): Tensor {
  if (data.buffer instanceof SharedArrayBuffer) {
    throw new TypeError(
      `latent/kernels: '${name}' lies in a SharedArrayBuffer, which ONNX Runtime refuses; copy it first`,
    );
  }
  if (data instanceof Float32Array) return new Tensor('float32', data, shape);
  if (data instanceof Float64Array) return new Tensor('float64', data, shape);
  if (data instanceof Int32Array) return new Tensor('int32', data, shape);
  return new Tensor('int64', data, shape);
}

/**
 * A small ONNX graph and its inference session, created at the first run and kept: make one `Kernel` a module, at top level.
 * `run` blocks its thread while it computes, as ONNX Runtime does; call it from a worker thread when that matters.
 */
export class Kernel {
  private session: Promise<InferenceSession> | undefined;

  constructor(
    readonly graph: OnnxGraph,
    private readonly options: KernelOptions = {},
  ) {}

  private open(): Promise<InferenceSession> {
    this.session ??= InferenceSession.create(encodeOnnxModel(this.graph), {
      executionProviders: [this.options.provider ?? 'cpu'],
      intraOpNumThreads: this.options.threads ?? 1,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      graphOptimizationLevel: 'all',
    }).catch((error: unknown) => {
      this.session = undefined; // a later call may find the provider in place
      throw new Error(`latent/kernels: no session for '${this.graph.name}': ${String(error)}`, { cause: error });
    });
    return this.session;
  }

  /**
   * One pass through the graph.
   * @param inputs by name; a wrong shape, type or missing input throws with ONNX Runtime's message
   * @param into arrays to write outputs to, by name: saves an allocation a call (they keep their contents until the next run)
   * @returns every output by name
   */
  async run(
    inputs: Record<string, KernelTensor>,
    into: Record<string, KernelTensor> = {},
  ): Promise<Record<string, KernelArray>> {
    const session = await this.open();
    const feeds: Record<string, Tensor> = {};
    for (const [name, tensor] of Object.entries(inputs)) feeds[name] = toTensor(name, tensor);
    const fetches: Record<string, Tensor | null> = {};
    for (const name of Object.keys(this.graph.outputs)) fetches[name] = into[name] ? toTensor(name, into[name]) : null;
    const results = await session.run(feeds, fetches);
    return Object.fromEntries(Object.entries(results).map(([name, tensor]) => [name, tensor.data as KernelArray]));
  }

  /** Frees the session's memory; the next run creates another. */
  async release(): Promise<void> {
    const session = await this.session;
    this.session = undefined;
    await session?.release();
  }
}

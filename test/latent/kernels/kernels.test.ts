import { describe, expect, test } from 'vitest';
import { Kernel } from '../../../latent/kernels/kernel.js';

const affine = new Kernel({
  name: 'affine',
  inputs: { x: { type: 'float64', shape: ['n', 2] } },
  outputs: { y: { type: 'float64', shape: ['n', 2] }, largest: { type: 'float64', shape: ['n'] } },
  constants: {
    w: { shape: [2, 2], data: Float64Array.of(1, 2, 3, 4) },
    b: { shape: [2], data: Float64Array.of(0.5, -0.5) },
  },
  nodes: [
    { op: 'MatMul', inputs: ['x', 'w'], outputs: ['xw'] },
    { op: 'Add', inputs: ['xw', 'b'], outputs: ['y'] },
    {
      op: 'ReduceMax',
      inputs: ['y'],
      outputs: ['largest'],
      attributes: { axes: { ints: [-1] }, keepdims: { int: 0 } },
    },
  ],
});

describe('kernel', () => {
  test('a graph written here runs in ONNX Runtime, in float64, with symbolic, constant and attribute fields understood', async () => {
    const { y, largest } = await affine.run({ x: { data: Float64Array.of(1, 1, 1e-9, 2), shape: [2, 2] } });
    expect([...y]).toEqual([4.5, 5.5, 6 + 1e-9 + 0.5, 8 + 2e-9 - 0.5]);
    expect([...largest]).toEqual([5.5, 8 + 2e-9 - 0.5]);
  });

  test('an output array handed in receives the result', async () => {
    const mine = new Float64Array(2);
    await affine.run({ x: { data: Float64Array.of(1, 1), shape: [1, 2] } }, { y: { data: mine, shape: [1, 2] } });
    expect([...mine]).toEqual([4.5, 5.5]);
  });

  test('a released kernel opens again', async () => {
    await affine.release();
    const { largest } = await affine.run({ x: { data: Float64Array.of(0, 0), shape: [1, 2] } });
    expect([...largest]).toEqual([0.5]);
  });

  test('shared memory is refused with the remedy', async () => {
    const x = new Float64Array(new SharedArrayBuffer(16));
    await expect(affine.run({ x: { data: x, shape: [1, 2] } })).rejects.toThrow("'x' lies in a SharedArrayBuffer");
  });

  test('an unknown operator is reported with the name of the graph', async () => {
    const broken = new Kernel({
      ...affine.graph,
      name: 'broken',
      nodes: [{ op: 'NoSuchOp', inputs: ['x'], outputs: ['y'] }],
    });
    await expect(broken.run({ x: { data: new Float64Array(2), shape: [1, 2] } })).rejects.toThrow(
      "no session for 'broken'",
    );
  });
});

import { describe, expect, test } from 'vitest';
import { matrix } from '../../../latent/base/matrix.js';
import { cosinesToAnchors } from '../../../latent/basis/project.js';
import { normalFrom, seededRandom } from '../../../latent/base/random.js';
import { elementBounds, oneHotCoordinates } from '../../../latent/transport/elementBounds.js';

const anchors = Int32Array.of(1, 8, 8, 26, 1, 8);

/** One-hot embeddings of some elements, float32 [n, 30]. */
const oneHot = (elements: ArrayLike<number>) => {
  const values = new Float32Array(elements.length * 30);
  Array.from(elements, (element, row) => (values[row * 30 + element] = 1));
  return values;
};

describe('one-hot coordinates', () => {
  test.each([true, false])('are the cosines of one-hot embeddings (centred: %s)', async (centred) => {
    const elements = Int32Array.of(1, 8, 26, 11);
    const centre = new Float64Array(30);
    if (centred) for (const element of anchors) centre[element] += 1 / anchors.length;
    const expected = await cosinesToAnchors(oneHot(elements), oneHot(anchors), 30, { centre });
    const { data } = oneHotCoordinates(elements, anchors, centred);
    data.forEach((value, at) => expect(Math.abs(value - expected[at])).toBeLessThan(1e-6));
  });

  test('about the mean of equal anchors are 0, not NaN', () => {
    expect([...oneHotCoordinates([8, 1], Int32Array.of(8, 8), true).data]).toEqual([0, 0, 0, 0]);
  });
});

describe('bounds of element match', () => {
  const elements = Int32Array.from({ length: 90 }, (_, at) => [1, 8, 26][at % 3]);
  const cloud = (seed: number, width: number) => {
    const normal = normalFrom(seededRandom(seed));
    const { data, columns } = oneHotCoordinates(elements, anchors, false);
    return matrix(
      data.map((value) => value + width * normal()),
      90,
      columns,
    );
  };

  test('are 1 for a model that tells elements apart and nothing else', async () => {
    const bounds = await elementBounds(cloud(1, 0.01), cloud(2, 0.01), elements, elements, anchors, false);
    expect(bounds.floor).toBeCloseTo(1, 12);
    expect(bounds.ceiling).toBeCloseTo(1, 12);
  });

  test('are near chance for a model that does not', async () => {
    const bounds = await elementBounds(cloud(1, 30), cloud(2, 30), elements, elements, anchors, false);
    expect(bounds.floor).toBeLessThan(0.55);
    expect(bounds.ceiling).toBeLessThan(0.55);
  });
});

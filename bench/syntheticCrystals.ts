import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { hashUnit, seededRandom } from '../latent/base/random.js';

/** Elements that the reference potentials know, one of them for each site. */
const SPECIES = ['Li', 'Na', 'Mg', 'Al', 'Si', 'K', 'Ca', 'Ti', 'Fe', 'Zn', 'O', 'S', 'Cl', 'F', 'N', 'P'];
/** Sites of a distorted body of four atoms, fractional. */
const SITES = [
  [0, 0, 0],
  [0.5, 0.5, 0],
  [0.5, 0, 0.5],
  [0, 0.5, 0.5],
];
const FRAMES_PER_WRITE = 500;

/**
 * Writes `count` crystals of four atoms as extended XYZ into `files` files: ids are random and say nothing of the order, neighbours in a file share
 * nothing, so that a merge finds every id anywhere. The crystals of a larger `count` with the same seed begin with those of a smaller one.
 * @returns bytes written
 */
export async function writeSyntheticCrystals(
  folder: string,
  count: number,
  files: number,
  seed: number,
): Promise<number> {
  await mkdir(folder, { recursive: true });
  let bytes = 0;
  for (let file = 0; file < files; file++) {
    const frames = function* () {
      let text = '';
      for (let i = file, inText = 0; i < count; i += files) {
        text += frame(i, seed);
        if (++inText === FRAMES_PER_WRITE) {
          bytes += text.length;
          yield text;
          [text, inText] = ['', 0];
        }
      }
      bytes += text.length;
      if (text) yield text;
    };
    await pipeline(frames, createWriteStream(join(folder, `crystals-${String(file).padStart(4, '0')}.extxyz`)));
  }
  return bytes;
}

function frame(index: number, seed: number): string {
  const random = seededRandom(Math.floor(hashUnit(seed, 'crystal', index) * 2 ** 32));
  const id = createHash('sha256').update(`${seed}:${index}`).digest('hex').slice(0, 12);
  const [a, b, c] = [4.6 + 1.4 * random(), 4.6 + 1.4 * random(), 4.6 + 1.4 * random()];
  const shear = 0.4 * (random() - 0.5);
  const rows = SITES.map((site) => {
    const [u, v, w] = site.map((x) => x + 0.06 * (random() - 0.5));
    const position = [u * a + v * shear, v * b, w * c].map((x) => x.toFixed(6));
    return `${SPECIES[Math.floor(SPECIES.length * random())]} ${position.join(' ')}`;
  });
  const lattice = [a, 0, 0, shear, b, 0, 0, 0, c].map((x) => x.toFixed(6)).join(' ');
  return `4\nLattice="${lattice}" Properties=species:S:1:pos:R:3 material_id=syn-${id} pbc="T T T"\n${rows.join('\n')}\n`;
}

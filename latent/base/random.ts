/**
 * Seeded randomness. Everything random in `latent/` comes from here, so that a seed gives the same numbers on every machine.
 */

/** MurmurHash3's 32-bit finaliser: a bijection in which every input bit moves every output bit. */
function mix32(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** 53 bits, 32 from `high` and 21 from `low`, as a number in [0, 1). */
function unitFrom(high: number, low: number): number {
  return ((high >>> 0) * 0x200000 + (low >>> 11)) / 0x20000000000000;
}

/**
 * A generator of uniform numbers in [0, 1) with 53 random bits: xoshiro128** (Blackman and Vigna 2018), its state filled from the
 * seed by a Weyl sequence through the MurmurHash3 finaliser.
 * @param seed an integer of up to 53 bits
 */
export function seededRandom(seed: number): () => number {
  const bits = seededBits(seed);
  return () => unitFrom(bits(), bits());
}

/**
 * A generator of integers below a bound, 0 to bound - 1, from 32 random bits each: twice as fast as scaling `seededRandom`; a number is more likely than
 * another by bound / 2^32 at most.
 * @param seed an integer of up to 53 bits
 */
export function seededIntegers(seed: number): (bound: number) => number {
  const bits = seededBits(seed);
  return (bound) => Math.floor(((bits() >>> 0) * bound) / 0x100000000);
}

/** 32 random bits a call, as a signed integer: xoshiro128**. */
function seededBits(seed: number): () => number {
  if (!Number.isSafeInteger(seed))
    throw new RangeError(`latent/base: seed is ${seed}; it must be an integer within ±2^53`);
  let weyl = mix32(seed) ^ mix32(Math.floor(seed / 0x100000000) + 0x9e3779b9);
  const next = () => mix32((weyl = (weyl + 0x9e3779b9) | 0));
  let [a, b, c, d] = [next(), next(), next(), next() | 1]; // the all-zero state is the one that must not occur
  return () => {
    const scrambled = Math.imul(b, 5);
    const result = Math.imul((scrambled << 7) | (scrambled >>> 25), 9);
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = (d << 11) | (d >>> 21);
    return result;
  };
}

/** A generator of standard normal numbers over a uniform one (Box-Muller; two uniforms each, the sine is not kept). */
export function normalFrom(random: () => number): () => number {
  return () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** Fisher-Yates in place; returns its argument. */
export function shuffle<T extends { length: number; [index: number]: unknown }>(items: T, random: () => number): T {
  for (let last = items.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [items[last], items[other]] = [items[other], items[last]];
  }
  return items;
}

/** 32 bits, as a signed integer, that depend on the numbers and their order alone, and on every bit of them. */
export function contentBits(values: Float64Array): number {
  let bits = values.length;
  for (const word of new Uint32Array(values.buffer, values.byteOffset, 2 * values.length)) bits = mix32(bits ^ word);
  return bits;
}

/** 32 bits, as a signed integer, that depend on a seed and a pair of integers alone. */
export function pairBits(seed: number, first: number, second: number): number {
  return mix32(mix32(seed ^ Math.imul(first, 0x9e3779b1)) + second);
}

const utf8 = new TextEncoder();

/**
 * A number in [0, 1) that depends on the seed and the keys alone, not on order or neighbours: the rank by which rows are sampled, so
 * that samples of a grown database share almost all rows. 64-bit FNV-1a over the UTF-8 bytes of seed and keys joined by NUL, then a
 * three-round Feistel mix (FNV alone hardly moves its high bits for the last bytes). Not cryptographic.
 */
export function hashUnit(seed: number, ...keys: (string | number)[]): number {
  const bytes = utf8.encode(`${seed}\0${keys.join('\0')}`);
  let high = 0xcbf29ce4;
  let low = 0x84222325;
  for (const byte of bytes) {
    low = (low ^ byte) >>> 0;
    // times the FNV prime 2^40 + 0x1b3, modulo 2^64: every partial product stays below 2^53
    const product = low * 0x1b3;
    high = (Math.imul(high, 0x1b3) + Math.floor(product / 0x100000000) + (low << 8)) >>> 0;
    low = product >>> 0;
  }
  high ^= mix32(low);
  low ^= mix32(high);
  high ^= mix32(low);
  return unitFrom(high, low);
}

export { alignDatabase } from './alignDatabase.js';
export { fanOut } from './fanOut.js';
export { range } from './range.js';

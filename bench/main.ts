// `npm run bench [NAME ...]`: koine beside the peer a user would pick instead, in the same run, as ratios.
const benches: Record<string, () => Promise<{ main(): Promise<void> }>> = {
  readers: () => import('./readers.js'),
  neighbours: () => import('./neighbours.js'),
  embed: () => import('./embed.js'),
  potentials: () => import('./potentials.js'),
  direct: () => import('./direct.js'),
  similarity: () => import('./similarity.js'),
  transport: () => import('./transport.js'),
  scale: () => import('./scale.js'),
};

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !(name in benches));
if (unknown.length > 0) {
  console.error(`bench: there is no '${unknown.join("', '")}'; there are ${Object.keys(benches).join(', ')}`);
  process.exit(2);
}
// `scale` takes hours and has no peer: it runs when it is named.
for (const name of wanted.length > 0 ? wanted : Object.keys(benches).filter((one) => one !== 'scale')) {
  console.log(`\n== ${name}`);
  await (await benches[name]()).main();
}

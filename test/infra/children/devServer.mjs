// Starts or joins the development server of a state folder, prints it as JSON, and releases it at the end of stdin:
// node devServer.mjs STATE_DIR
import { startDevServer } from '../../../dist/infra/devServer.js';

const server = await startDevServer({ stateDir: process.argv[2] });
process.stdout.write(`${JSON.stringify(server)}\n`);
process.stdin.resume();
await new Promise((resolve) => process.stdin.once('end', resolve));
await server.release();

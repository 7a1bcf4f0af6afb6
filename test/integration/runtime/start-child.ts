/** A process of its own that starts one task in a world made by a test, and is killed while it does. */
import { joinWorld } from './support.ts';

const [execRoot = '', id = '', runtime] = process.argv.slice(2);
const world = joinWorld(execRoot);
const tasks = world.service(runtime === undefined ? undefined : { runc: { path: runtime } });
process.stdout.write('starting\n');
await world.run(tasks, ['sleep', '60'], { id });
process.stdout.write('started\n');
setInterval(() => undefined, 1000);

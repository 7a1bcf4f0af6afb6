/** Does things, writes down what was acknowledged, and asks for the power to be cut in the middle of more. */
import { open } from 'node:fs/promises';
import { push } from '../image-calls.ts';
import { CREDENTIALS, REGISTRY, startRegistry } from '../registry.ts';
import { type RunBody, type Service, startService } from '../service.ts';
import { CUT, DATA_ROOT, LEDGER, type Ledger, REGISTRY_DATA } from './ledger.ts';

const LASTING = ['sleep', '100000'];
/** "Running" is told from a start that never came to anything after a second. */
const SETTLED_MS = 2000;

async function create(service: Service, name: string, body: RunBody): Promise<string> {
  const created = await service.must(`/containers/create?name=${name}`, {
    method: 'POST',
    body: { Image: 'busybox', Cmd: LASTING, ...body },
  });
  return (created.json as { Id: string }).Id;
}

async function start(service: Service, name: string, body: RunBody): Promise<string> {
  const id = await create(service, name, body);
  await service.must(`/containers/${id}/start`, { method: 'POST' });
  return id;
}

async function record(ledger: Ledger): Promise<void> {
  const file = await open(LEDGER, 'w');
  await file.writeFile(JSON.stringify(ledger));
  await file.sync();
  await file.close();
}

async function pushAs(service: Service, tag: string): Promise<string> {
  const repository = `${REGISTRY}/team/app`;
  await service.must(`/images/busybox/tag?repo=${repository}&tag=${tag}`, { method: 'POST' });
  return push(service, { repository, tag }, CREDENTIALS);
}

async function createMore(service: Service): Promise<never> {
  for (let n = 0; ; n++) await create(service, `unacknowledged-${n}`, {});
}

async function pushMore(service: Service): Promise<never> {
  for (let n = 0; ; n++) await pushAs(service, `unacknowledged-${n}`);
}

await startRegistry(REGISTRY_DATA);
const service = await startService({ dataRoot: DATA_ROOT });
const restarting = { HostConfig: { RestartPolicy: { Name: 'always' } } };
const created: Record<string, string> = {
  running: await start(service, 'running', {}),
  policy: await start(service, 'policy', restarting),
  stopped: await start(service, 'stopped', restarting),
  ended: (await service.run({ Cmd: ['sh', '-c', 'exit 6'] })).id,
  automatic: await start(service, 'automatic', { HostConfig: { AutoRemove: true } }),
};
await new Promise((resolve) => setTimeout(resolve, SETTLED_MS));
await service.must(`/containers/${created.stopped}/stop?t=0`, { method: 'POST' });
const removed = [await create(service, 'removed', {}), await start(service, 'removed-running', {})];
for (const id of removed) await service.must(`/containers/${id}?force=1`, { method: 'DELETE' });
created['last'] = await create(service, 'last', {});
const pushed = { one: await pushAs(service, 'one'), two: await pushAs(service, 'two') };
await record({ created, removed, pushed });
process.stdout.write(`${CUT}\n`);
await Promise.all([createMore(service), pushMore(service)]);

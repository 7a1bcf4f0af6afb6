import type { Registry } from './http.ts';
import { discoveryWorkflow } from './v1-discovery.ts';
import { managementWorkflow } from './v1-management.ts';
import { pullWorkflow } from './v1-pull.ts';
import { pushWorkflow } from './v1-push.ts';
import { Verdicts } from './verdicts.ts';

/** The 83 specs of the 1.1 suite, each with our own test behind it. */
export async function v1Suite(registry: Registry, name: string): Promise<Verdicts> {
  const verdicts = new Verdicts();
  const workflow = (part: string): { registry: Registry; verdicts: Verdicts; repo: string } => ({
    registry,
    verdicts,
    repo: `${name}/${part}`,
  });
  await pullWorkflow(workflow('pull'));
  await pushWorkflow(workflow('push'));
  await discoveryWorkflow(workflow('discovery'));
  await managementWorkflow(workflow('management'));
  return verdicts;
}

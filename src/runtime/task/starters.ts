import type { TaskContext } from './context.ts';
import { createOciStarter } from './oci-starter.ts';
import { createPlanStarter } from './plan-starter.ts';
import type { Starter } from './starter.ts';

/** '' and absent: the default. Errors: `invalidArgument` for a name that nobody configured. */
export function starterOf(context: TaskContext, name: string | undefined): Starter {
  const runtime = context.runtimes.get(name);
  return runtime.kind === 'own' ? createPlanStarter(context, runtime) : createOciStarter(context, runtime);
}

import { EngineError } from '#base/errors.ts';
import type { TaskContext } from './context.ts';
import { createOciStarter } from './oci-starter.ts';
import type { Starter } from './starter.ts';

/** '' and absent: the default. Errors: `invalidArgument` for a name that nobody configured. */
export function starterOf(context: TaskContext, name: string | undefined): Starter {
  const runtime = context.runtimes.get(name);
  if (runtime.kind === 'own') throw new EngineError('notImplemented', 'launch plans are not executed yet');
  return createOciStarter(context, runtime);
}

import { OCI_RUNTIME_VERSION, type RuntimeSpec, type SpecHook, type SpecHooks } from '#oci/runtime-spec.ts';
import { invalid } from './builder.ts';
import type { LaunchContext } from './context.ts';
import type { Operation } from './operations.ts';

type HookPoint = Exclude<keyof SpecHooks, 'poststop'>;

/** What the state says while the hooks of a point run. */
const STATUS: Readonly<Record<HookPoint, string>> = {
  prestart: 'creating',
  createRuntime: 'creating',
  createContainer: 'creating',
  startContainer: 'created',
  poststart: 'running',
};
const MS = 1000;

/** The state of a container as hooks and callers get it, without the pid, which is only known then. */
function stateAround(
  { id, bundle, annotations }: { id: string; bundle: string; annotations?: Record<string, string> },
  status: string,
): { beforePid: Buffer; afterPid: Buffer } {
  const head = JSON.stringify({ ociVersion: OCI_RUNTIME_VERSION, id, status });
  const rest = annotations === undefined ? { bundle } : { bundle, annotations };
  return {
    beforePid: Buffer.from(`${head.slice(0, -1)},"pid":`),
    afterPid: Buffer.from(`,${JSON.stringify(rest).slice(1)}`),
  };
}

function hook(hookSpec: SpecHook, state: ReturnType<typeof stateAround>, from: string): Operation {
  const { path, args = [], env = [], timeout } = hookSpec;
  if (!path.startsWith('/')) throw invalid(`${from}.path`, `"${path}" is not absolute`);
  if (timeout !== undefined && timeout <= 0) throw invalid(`${from}.timeout`, 'must be greater than zero');
  return {
    op: 'hook',
    path,
    arguments: args.length === 0 ? [path] : args,
    environment: env,
    timeoutMs: (timeout ?? 0) * MS,
    ...state,
    from,
  };
}

export function planHooks(
  spec: RuntimeSpec,
  context: Pick<LaunchContext, 'id' | 'bundle'>,
  point: HookPoint,
): Operation[] {
  const { id, bundle } = context;
  const { annotations } = spec;
  const state = stateAround(
    { id, bundle, ...(annotations === undefined ? {} : { annotations }) },
    STATUS[point],
  );
  return (spec.hooks?.[point] ?? []).map((each, i) => hook(each, state, `hooks.${point}[${i}]`));
}

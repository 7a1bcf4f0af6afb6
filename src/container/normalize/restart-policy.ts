import type { RestartPolicy, RestartPolicyName } from '../record.ts';
import { invalid, type Fields } from './fields.ts';

const NAMES: readonly string[] = ['no', 'always', 'on-failure', 'unless-stopped'];

/** Errors: `invalidArgument` with the reference's texts. */
export function parseRestartPolicy(hostConfig: Fields): RestartPolicy {
  const policy = hostConfig.object('RestartPolicy');
  const name = policy?.text('Name') || 'no';
  const maximum = policy?.integer('MaximumRetryCount') ?? 0;
  if (!NAMES.includes(name)) {
    throw invalid(`invalid restart policy: unknown policy '${name}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'`);
  }
  if (maximum !== 0 && name !== 'on-failure') {
    throw invalid("invalid restart policy: maximum retry count can only be used with 'on-failure'" + (maximum < 0 ? ' and cannot be negative' : ''));
  }
  if (maximum < 0) throw invalid('invalid restart policy: maximum retry count cannot be negative');
  if (hostConfig.flag('AutoRemove') && name !== 'no') throw invalid("can't create 'AutoRemove' container with restart policy");
  return { Name: name as RestartPolicyName, MaximumRetryCount: maximum };
}

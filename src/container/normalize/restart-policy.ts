import * as messages from '#api/messages.ts';
import type { RestartPolicy, RestartPolicyName } from '../record.ts';
import { invalid, type Fields } from './fields.ts';

const NAMES: readonly string[] = ['no', 'always', 'on-failure', 'unless-stopped'];

/** Errors: `invalidArgument` with the reference's texts. */
export function parseRestartPolicy(hostConfig: Fields): RestartPolicy {
  const policy = hostConfig.object('RestartPolicy');
  const name = policy?.text('Name') || 'no';
  const maximum = policy?.integer('MaximumRetryCount') ?? 0;
  if (!NAMES.includes(name)) {
    throw invalid(messages.unknownRestartPolicy(name));
  }
  if (maximum !== 0 && name !== 'on-failure') {
    throw invalid(messages.restartRetryCount() + (maximum < 0 ? ' and cannot be negative' : ''));
  }
  if (maximum < 0) throw invalid('invalid restart policy: maximum retry count cannot be negative');
  if (hostConfig.flag('AutoRemove') && name !== 'no')
    throw invalid("can't create 'AutoRemove' container with restart policy");
  return { Name: name as RestartPolicyName, MaximumRetryCount: maximum };
}

import { CRUN, RUNC } from '../integration/differential/bundle.ts';
import { CASES } from '../integration/differential/cases.ts';
import { differential } from '../integration/differential/suite.ts';

/**
 * Node takes seconds to start in an emulated machine, so this is a choice: what depends on cgroups and on the
 * kernel.
 */
const NAMES = new Set([
  ...['default', 'privileged', 'read-only', 'user', 'no new privileges, user', 'memory', 'cpu', 'limits'],
  ...['device', 'tmpfs', 'own cgroup namespace', 'bind recursively read-only', 'user namespace'],
]);
const chosen = CASES.filter(({ name }) => NAMES.has(name));

differential(
  chosen,
  [
    { runtime: RUNC, against: 'runc' },
    { runtime: CRUN, against: 'crun' },
  ],
  { isSample: true },
);

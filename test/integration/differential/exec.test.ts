import { FAILS, furtherProcesses, SEEN } from './exec.ts';
import { PEERS } from './suite.ts';

furtherProcesses({ seen: Object.keys(SEEN), fails: Object.keys(FAILS) }, PEERS);

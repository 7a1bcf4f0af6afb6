import { FAILURES, failures } from './failures.ts';
import { PEERS } from './suite.ts';

failures(Object.keys(FAILURES), PEERS);

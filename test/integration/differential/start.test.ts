import { CASES } from './cases.ts';
import { differential, PEERS } from './suite.ts';

differential(CASES, PEERS);

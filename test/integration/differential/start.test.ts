import { CRUN, RUNC } from './bundle.ts';
import { CASES } from './cases.ts';
import { differential } from './suite.ts';

differential(CASES, [
  { runtime: RUNC, against: 'runc' },
  // It runs where the unified hierarchy is hidden, so it shows none.
  { runtime: CRUN, against: 'crun', without: /^0::/ },
]);

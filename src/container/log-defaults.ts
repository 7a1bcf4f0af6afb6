/** What the daemon asks about its `log-driver` and `log-opts` before it starts. */
export { checkLogging } from './normalize/logging.ts';

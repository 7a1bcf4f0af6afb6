import { EngineError } from '#base/errors.ts';
import { parseListenAddress } from '../server/listen-address.ts';
import type { Values } from './options.ts';

const LOG_LEVELS: ReadonlySet<string> = new Set([
  'panic',
  'fatal',
  'error',
  'warn',
  'warning',
  'info',
  'debug',
  'trace',
]);

const bad = (message: string): EngineError => new EngineError('invalidArgument', message);

function oneOf(values: Values, key: string, check: (value: string) => string | null): void {
  const value = values.get(key);
  if (typeof value !== 'string' || value === '') return;
  const problem = check(value);
  if (problem !== null) throw bad(problem);
}

function each(values: Values, key: string, check: (value: string) => void): void {
  const list = values.get(key);
  if (Array.isArray(list)) for (const value of list) if (typeof value === 'string') check(value);
}

function notNegative(values: Values, key: string, what: string): void {
  const value = values.get(key);
  if (typeof value === 'number' && value < 0) throw bad(`invalid ${what}: ${value}`);
}

function checkMirror(mirror: string): void {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(mirror)?.[1];
  const wanted = "must use either 'https://' or 'http://'";
  if (scheme === undefined)
    throw bad(`invalid mirror: no scheme specified for ${JSON.stringify(mirror)}: ${wanted}`);
  if (scheme !== 'http' && scheme !== 'https') {
    throw bad(
      `invalid mirror: unsupported scheme ${JSON.stringify(scheme)} in ${JSON.stringify(mirror)}: ${wanted}`,
    );
  }
  const user = /^([a-z]+:\/\/[^/@:]*)(:[^/@]*)?@/i.exec(mirror);
  if (user !== null) {
    const hidden = mirror.replace(/:[^/@]*@/, ':xxxxx@');
    throw bad(`invalid mirror: username/password not allowed in URI ${JSON.stringify(hidden)}`);
  }
  if (/[?#]/.test(mirror))
    throw bad(`invalid mirror: query or fragment at end of the URI ${JSON.stringify(mirror)}`);
}

const DOMAIN = /^(?:\.|(?:(?!-)[A-Za-z0-9_-]{1,63}(?<!-))(?:\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*\.?)$/;

/** Checks that need no second option. Errors have the reference's words. */
export function validateOptions(values: Values): void {
  oneOf(values, 'log-level', (v) => (LOG_LEVELS.has(v) ? null : `invalid logging level: ${v}`));
  oneOf(values, 'log-format', (v) => (v === 'text' || v === 'json' ? null : `invalid log format: ${v}`));
  notNegative(values, 'mtu', 'default MTU');
  notNegative(values, 'max-concurrent-downloads', 'max concurrent downloads');
  notNegative(values, 'max-concurrent-uploads', 'max concurrent uploads');
  notNegative(values, 'max-download-attempts', 'max download attempts');
  each(values, 'registry-mirrors', checkMirror);
  each(values, 'dns-search', (domain) => {
    if (!DOMAIN.test(domain)) throw bad(`${domain} is not a valid domain`);
  });
  each(values, 'labels', (label) => {
    if (!/^[^=]+=/.test(label)) throw bad(`bad attribute format: ${label}`);
  });
  each(values, 'exec-opts', (option) => {
    if (!option.includes('=')) throw bad(`invalid exec-opt (${option}): must be formatted 'opt=value'`);
  });
  oneOf(values, 'default-ipc-mode', (mode) =>
    mode === 'private' || mode === 'shareable'
      ? null
      : `IPC mode ${JSON.stringify(mode)} is not supported as default value; use "shareable" or "private"`,
  );
  oneOf(values, 'default-cgroupns-mode', (mode) =>
    mode === 'host' || mode === 'private'
      ? null
      : `invalid default cgroup namespace (${mode}): use "host" or "private"`,
  );
  each(values, 'hosts', (host) => void parseListenAddress(host));
}

/** Two values for one label. */
export function checkLabels(values: Values): void {
  const seen = new Map<string, string>();
  each(values, 'labels', (label) => {
    const key = label.slice(0, label.indexOf('='));
    const before = seen.get(key);
    if (before !== undefined && before !== label) throw bad(`conflict labels for ${label} and ${before}`);
    seen.set(key, label);
  });
}

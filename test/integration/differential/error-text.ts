/** What is comparable in the messages of runtimes that have failed: of one wording, or of two. */
import type { Volatile } from './normalize.ts';

/**
 * The message of a failed runtime alone: without the time, without the runtime's word for what it was doing,
 * and without the mount call's arguments, which each version writes in its own way.
 */
export function errorMessage(stderr: string, volatile: Volatile): string {
  const line = stderr.trimEnd().split('\n').at(-1) ?? '';
  const text = /msg="((?:[^"\\]|\\.)*)"/.exec(line)?.[1] ?? line;
  return text
    .replaceAll('\\"', '"')
    .replace(/^(runc|gantry-oci) \w+ failed: /, '')
    .replace(/^\d{4}-\d\d-\d\dT[\d:.]+Z: /, '')
    .replace('error during container init: ', '')
    .replaceAll(volatile.folder, '<folder>')
    .replace(/(to rootfs at "[^"]*": mount ).*(: [^:]+)$/, '$1<arguments>$2')
    .replaceAll(/usage: \d+/g, 'usage: N');
}

/** Kinds of failure, each by the words of runc and of crun; the first one that fits. */
const FAILURES: readonly (readonly [string, RegExp])[] = [
  ['hook', /error (running|executing) .*hook/],
  ['out of memory', /OOM/],
  ['not namespaced', /not namespaced|not in a separate kernel namespace/],
  ['unknown limit', /invalid rlimit/],
  ['EINVAL', /invalid argument|cannot set uid to unmapped user/i],
  ['EINVAL', /args must not be empty/],
  ['EACCES', /permission denied/i],
  ['EPERM', /operation not permitted/i],
  ['ENODEV', /no such device/i],
  ['ENOEXEC', /exec format error/i],
  ['ENOTDIR', /not a directory/i],
  ['ENOENT', /no such file or directory|executable file not found in \$PATH/i],
];

function failureOf(text: string): string | undefined {
  return FAILURES.find(([, words]) => words.test(text))?.[0];
}

/** What crun's message is about: in backquotes, or a path; a file of its own process by its name alone. */
function objectsOf(text: string): string[] {
  const found = text.matchAll(/`([^`]+)`|(\/proc\/[^\s:]+)/g);
  return [...found].map(([, quoted, path]) =>
    (quoted ?? path ?? '').replace(/^\/(proc\/(thread-)?self\/(attr\/)?)?/, ''),
  );
}

/**
 * Whether our message, in runc's wording, tells the same as crun's: the kind of failure, and whatever crun
 * names.
 */
export function tellsTheSame(ours: string, crun: string): boolean {
  if (ours === '' && crun === '') return true;
  const failure = failureOf(ours);
  if (failure === undefined || failure !== failureOf(crun)) return false;
  return objectsOf(crun).every((object) => ours.includes(object));
}

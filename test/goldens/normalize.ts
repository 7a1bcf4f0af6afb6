/**
 * Takes what differs between any two runs (ids, times, addresses of hardware, process numbers) out of a
 * command's output, so that it can be compared with a recorded one. The placeholders are those of the
 * recorded results.
 */
type Rule = readonly [RegExp, string | ((match: string, ...groups: string[]) => string)];

const EVERYWHERE: readonly Rule[] = [
  [/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, '<uuid>'],
  [/\b[0-9a-f]{64}\b/g, '<id64>'],
  [/\b(?=[0-9a-f]*\d)[0-9a-f]{32}\b/g, '<id32>'],
  [/\b(?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{12}\b/g, '<id12>'],
  [/(?<=^|[\s"'(,])(?<!": ?)\d{12}(?=$|[\s"'),])/gm, '<id12>'],
  [
    /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)/g,
    (time) => (time.startsWith('0001-01-01') ? time : '<time>'),
  ],
  [/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)? [+-]\d{4} [A-Za-z]{3,4}/g, '<time>'],
  [/\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d/g, '<time>'],
  [/"(time|Created|created)":\s?\d{10}\b/g, '"$1":<unix>'],
  [/"timeNano":\d{19}/g, '"timeNano":<nano>'],
  [/\b(?:Less than a second|About an? (?:minute|hour)) ago\b/g, '<ago>'],
  [/\b\d+ (?:second|minute|hour|day|week|month|year)s? ago\b/g, '<ago>'],
  [
    /\bUp (?:Less than a second|About a minute|About an hour|\d+ (?:second|minute|hour|day|week)s?)/g,
    'Up <dur>',
  ],
  [/docker-(import|export|builder|tmp)-?\d+/g, 'docker-$1-<rand>'],
  [/^time="<time>" level=error msg="Can't add file .*\n/gm, ''],
  [/execDuration=\d+/g, 'execDuration=<n>'],
  [/"execDuration":"\d+"/g, '"execDuration":"<n>"'],
  [/\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b/g, (mac) => (mac === '02:42:00:00:00:99' ? mac : '<mac>')],
  [/"Pid": ?(\d+)/g, (match, pid) => (pid === '0' ? match : match.replace(pid ?? '', '<pid>'))],
  [/\bbr-[0-9a-f]{12}\b/g, 'br-<id12>'],
  [/\bveth[0-9a-f]{7}\b/g, 'veth<rand>'],
  [/\b(?=[a-z0-9]*[0-9])(?=[a-z0-9]*[a-z])[a-z0-9]{25}\b/g, '<id25>'],
  [/\/var\/lib\/docker\/overlay2\/l\/[A-Z0-9]{26}/g, '/var/lib/docker/overlay2/l/<link>'],
  [/\(dial tcp [^)]*:(\d+)->/g, '(dial tcp <addr>->'],
  [/read tcp 127\.0\.0\.1:\d+->/g, 'read tcp 127.0.0.1:<port>->'],
];

const BY_KIND: Readonly<Record<string, readonly Rule[]>> = {
  ports: [[/:(3[2-9]\d{3}|[4-6]\d{4})\b/g, ':<port>']],
  stats: [
    [/\d+(?:\.\d+)?%/g, '<pct>'],
    [/\b\d+(?:\.\d+)?(?:B|kB|MB|GB|KiB|MiB|GiB)\b/g, '<size>'],
  ],
  top: [
    [/^(\S+ +)\d+( +)\d+( +)\d+( +)\S+( +)\S+( +)[\d:]+/gm, '$1<pid>$2<ppid>$3<c>$4<stime>$5<tty>$6<time>'],
  ],
};

export interface NormalizeOptions {
  readonly kinds: readonly string[];
  readonly dataRoot: string;
  readonly execRoot: string;
  readonly dockerHost: string;
}

/** A table's column widths depend on what was normalised: runs of blanks become three. */
function collapseTables(text: string): string {
  const lines = text.split('\n');
  const isHead = (line: string): boolean => /^[A-Z][A-Z0-9 %/().]+$/.test(line) && / {2,}/.test(line);
  if (!lines.some(isHead)) return text;
  return lines.map((line) => line.replace(/(\S) {2,}/g, '$1   ').replace(/\s+$/, '')).join('\n');
}

export function normalize(text: string, options: NormalizeOptions): string {
  let result = text
    .replaceAll(options.dataRoot, '/var/lib/docker')
    .replaceAll(options.execRoot, '/run/docker')
    .replaceAll(options.dockerHost, '<docker-host>')
    .replaceAll(options.dockerHost.replace('unix://', ''), '<docker-sock>');
  const rules = [...EVERYWHERE, ...options.kinds.flatMap((kind) => BY_KIND[kind] ?? [])];
  for (const [pattern, replacement] of rules) {
    result =
      typeof replacement === 'string'
        ? result.replace(pattern, replacement)
        : result.replace(pattern, replacement);
  }
  return collapseTables(result);
}

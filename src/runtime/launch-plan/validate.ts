import type { RuntimeSpec, SpecMount, SpecProcess } from '#oci/runtime-spec.ts';
import { invalid } from './builder.ts';
import { flag, inline, list, map, needed, optional, type Reader, record, text } from './json-readers.ts';
import { idMappings, readLinux } from './validate-linux.ts';
import { readHooks, readProcess } from './validate-process.ts';

/** Each needs a descriptor, of which a plan has about a thousand. */
const MAX_MOUNTS = 900;
const MAX_OPTIONS = 1024;

const version: Reader<string> = (value, path) => {
  const given = text(value, path);
  if (!/^1\.\d+\.\d+/.test(given)) throw invalid(path, `unsupported version ${JSON.stringify(given)}`);
  return given;
};

const mount = record<SpecMount>({
  destination: needed(text),
  type: optional(text),
  source: optional(text),
  options: optional(list(text, MAX_OPTIONS)),
  uidMappings: optional(idMappings),
  gidMappings: optional(idMappings),
});

const rootPath: Reader<string> = (value, path) => {
  const given = text(value, path);
  if (given === '') throw invalid(path, 'must be specified');
  return given;
};

const spec = record<RuntimeSpec>(
  {
    ociVersion: needed(version),
    process: optional(readProcess),
    root: optional(inline({ path: needed(rootPath), readonly: optional(flag) })),
    hostname: optional(text),
    domainname: optional(text),
    mounts: optional(list(mount, MAX_MOUNTS)),
    hooks: optional(readHooks),
    annotations: optional(map(text)),
    linux: optional(readLinux),
  },
  ['windows', 'vm', 'solaris', 'zos'],
);

/**
 * A `config.json` of somebody else. Members that the specification does not have are skipped; what is
 * returned has the types. What depends on this host is checked by `buildLaunchPlan`. Errors:
 * `invalidArgument`, beginning with the JSON path: `linux.namespaces[2].type: unknown namespace "x"`.
 */
export function validateSpec(json: unknown): RuntimeSpec {
  const read = spec(json, '');
  if (read.root === undefined) throw invalid('root', 'must be specified');
  if (read.process === undefined) throw invalid('process', 'must be specified');
  if (read.linux === undefined) throw invalid('linux', 'must be specified');
  return read;
}

/** The process of an exec. Errors: as `validateSpec`. */
export function validateProcess(json: unknown): SpecProcess {
  return readProcess(json, 'process');
}

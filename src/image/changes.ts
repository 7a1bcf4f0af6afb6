import { EngineError } from '#base/errors.ts';
import { parsePort, formatPort } from '#api/exposed-port.ts';
import { invalidSignal, unsupportedChange } from '#api/messages.ts';
import { parseSignal } from '#base/signals.ts';
import type { ImageDefaults } from '#oci/image-config.ts';
import { expandVariables, jsonForm, splitWords } from './change-words.ts';
import { healthcheckChange } from './healthcheck-change.ts';

type Mutable = { -readonly [K in keyof ImageDefaults]: ImageDefaults[K] };

const SHELL = ['/bin/sh', '-c'];

function invalid(message: string): EngineError {
  return new EngineError('invalidArgument', message);
}

function needsArgument(instruction: string, count: 'one' | 'exactly one'): EngineError {
  const how = count === 'one' ? 'requires at least one argument' : 'requires exactly one argument';
  return invalid(`${instruction} ${how}`);
}

/** `["a","b"]`, or a line for the shell. */
function command(text: string, defaults: Mutable): readonly string[] {
  const list = jsonForm(text);
  if (list !== null) return list;
  return text === '' ? [] : [...(defaults.shell ?? SHELL), text];
}

/** `k=v k2="v 2"`, or the old form `k the rest`. */
function pairs(instruction: string, text: string): [string, string][] {
  const words = splitWords(text);
  const [first] = words;
  if (first === undefined) throw needsArgument(instruction, 'one');
  if (!first.includes('=')) {
    const space = text.search(/\s/);
    if (space < 0) throw invalid(`${instruction} must have two arguments`);
    return [[text.slice(0, space), text.slice(space).trim()]];
  }
  return words.map((word) => {
    const at = word.indexOf('=');
    if (at < 0) throw invalid(`Syntax error - can't find = in "${word}". Must be of the form: name=value`);
    if (at === 0) throw invalid(`${instruction} names can not be blank`);
    return [word.slice(0, at), word.slice(at + 1)];
  });
}

function setEnvironment(defaults: Mutable, text: string): void {
  const env = [...(defaults.env ?? [])];
  for (const [key, value] of pairs('ENV', text)) {
    const at = env.findIndex((entry) => entry.startsWith(`${key}=`));
    if (at < 0) env.push(`${key}=${value}`);
    else env[at] = `${key}=${value}`;
  }
  defaults.env = env;
}

function exposedPorts(word: string): string[] {
  // Addresses and ports of the host mean nothing here.
  const [range = '', protocol = 'tcp'] = (word.split(':').at(-1) ?? '').split('/');
  if (!['tcp', 'udp', 'sctp'].includes(protocol.toLowerCase())) throw invalid(`Invalid proto: ${protocol}`);
  const [from = '', to = from] = range.split('-');
  const first = parsePort(`${from}/${protocol}`);
  const last = parsePort(`${to}/${protocol}`);
  if (first === null || last === null || last.port < first.port)
    throw invalid(`Invalid containerPort: ${word}`);
  const ports: string[] = [];
  for (let port = first.port; port <= last.port; port++) ports.push(formatPort(port, first.protocol));
  return ports;
}

function union(list: readonly string[] | null, more: readonly string[]): string[] {
  return [...new Set([...(list ?? []), ...more])];
}

function workingDirectory(current: string, text: string): string {
  if (text === '') throw needsArgument('WORKDIR', 'exactly one');
  const parts: string[] = [];
  for (const part of (text.startsWith('/') ? text : `${current}/${text}`).split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return `/${parts.join('/')}`;
}

/** Numbers are taken as they are: what the kernel has depends on the machine. */
function stopSignal(text: string): string {
  const isNumber = /^\d{1,9}$/.test(text) && Number(text) !== 0;
  if (!isNumber && (parseSignal(text) ?? 0) === 0) throw invalid(invalidSignal(text));
  return text;
}

function trigger(text: string): string {
  if (text === '') throw needsArgument('ONBUILD', 'one');
  const instruction = (/^\S+/.exec(text)?.[0] ?? '').toUpperCase();
  if (instruction === 'ONBUILD') throw invalid("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
  if (instruction === 'MAINTAINER' || instruction === 'FROM')
    throw invalid(`${instruction} isn't allowed as an ONBUILD trigger`);
  return text;
}

function volumes(text: string): readonly string[] {
  const paths = jsonForm(text) ?? splitWords(text);
  if (paths.length === 0) throw needsArgument('VOLUME', 'one');
  if (paths.some((path) => path.trim() === '')) throw invalid('VOLUME specified can not be an empty string');
  return paths;
}

function applyOne(
  defaults: Mutable,
  change: { readonly instruction: string; readonly text: string },
  state: { commandSet: boolean },
): void {
  const { instruction, text } = change;
  const expanded = (): string => expandVariables(text, defaults.env ?? []);
  switch (instruction.toUpperCase()) {
    case 'CMD':
      defaults.cmd = command(text, defaults);
      state.commandSet = true;
      return;
    case 'ENTRYPOINT':
      defaults.entrypoint = command(text, defaults);
      if (!state.commandSet) defaults.cmd = null;
      return;
    case 'ENV':
      setEnvironment(defaults, expanded());
      return;
    case 'LABEL':
      defaults.labels = Object.fromEntries([
        ...Object.entries(defaults.labels ?? {}),
        ...pairs('LABEL', expanded()),
      ]);
      return;
    case 'EXPOSE':
      if (text === '') throw needsArgument('EXPOSE', 'one');
      defaults.exposedPorts = union(defaults.exposedPorts, splitWords(expanded()).flatMap(exposedPorts));
      return;
    case 'USER':
      if (text === '') throw needsArgument('USER', 'exactly one');
      defaults.user = expanded();
      return;
    case 'WORKDIR':
      defaults.workingDir = workingDirectory(defaults.workingDir, expanded());
      return;
    case 'VOLUME':
      defaults.volumes = union(defaults.volumes, volumes(expanded()));
      return;
    case 'STOPSIGNAL':
      if (text === '') throw needsArgument('STOPSIGNAL', 'exactly one');
      defaults.stopSignal = stopSignal(expanded());
      return;
    case 'HEALTHCHECK':
      defaults.healthcheck = healthcheckChange(text);
      return;
    case 'ONBUILD':
      defaults.onBuild = [...(defaults.onBuild ?? []), trigger(text)];
      return;
    default:
      throw invalid(unsupportedChange(instruction));
  }
}

/** Applies Dockerfile instructions that change a config and no files. Errors: `invalidArgument`. */
export function applyChanges(defaults: ImageDefaults, changes: readonly string[]): ImageDefaults {
  const result: Mutable = { ...defaults };
  const state = { commandSet: false };
  for (const line of changes.flatMap((change) => change.split('\n'))) {
    const trimmed = line.trim();
    if (trimmed === '' || trimmed.startsWith('#')) continue;
    const match = /^(\S+)\s*([^]*)$/.exec(trimmed);
    if (match?.[1] !== undefined) applyOne(result, { instruction: match[1], text: match[2] ?? '' }, state);
  }
  return result;
}

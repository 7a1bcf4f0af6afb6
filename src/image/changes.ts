import { EngineError } from '#base/errors.ts';
import { invalidSignal, unsupportedChange } from '#api/messages.ts';
import { parseSignal } from '#base/signals.ts';
import type { ImageDefaults } from '#oci/image-config.ts';
import { expand, type ExpansionScope } from './change-expansion.ts';
import { parseFlags } from './change-flags.ts';
import { exposedPorts } from './change-ports.ts';
import { type Escape, parseStatements, type Statement } from './change-statements.ts';
import { jsonForm, nameValues, WHITE } from './change-words.ts';
import { healthcheckChange } from './healthcheck-change.ts';

type Mutable = { -readonly [K in keyof ImageDefaults]: ImageDefaults[K] };

/** What the instructions so far came to. */
interface State {
  readonly defaults: Mutable;
  readonly escape: Escape;
  commandSet: boolean;
}

/** What an instruction does. Mistakes that do not depend on those before it were found already. */
type Effect = (state: State) => void;

const SHELL = ['/bin/sh', '-c'];
const MOST_NUMBER = 2n ** 63n;

function invalid(message: string): EngineError {
  return new EngineError('invalidArgument', message);
}

function needsArgument(instruction: string, count: 'one' | 'exactly one'): EngineError {
  const how = count === 'one' ? 'requires at least one argument' : 'requires exactly one argument';
  return invalid(`${instruction} ${how}`);
}

function scopeOf({ defaults, escape }: State): ExpansionScope {
  return { env: defaults.env ?? [], escape };
}

function union(list: readonly string[] | null, more: readonly string[]): string[] | null {
  const all = [...new Set([...(list ?? []), ...more])];
  return all.length === 0 ? null : all;
}

/** `["a","b"]`, or a line for the shell. */
function commandLine(text: string, { shell }: Mutable): readonly string[] {
  return jsonForm(text) ?? [...(shell ?? SHELL), ...(text === '' ? [] : [text])];
}

function command({ text, flags }: Statement): Effect {
  parseFlags(flags, []);
  return (state) => {
    state.defaults.cmd = commandLine(text, state.defaults);
    if (text !== '' && jsonForm(text)?.length !== 0) state.commandSet = true;
  };
}

function entrypoint({ text, flags }: Statement): Effect {
  parseFlags(flags, []);
  const isNone = text === '' || jsonForm(text)?.length === 0;
  return (state) => {
    state.defaults.entrypoint = isNone ? null : commandLine(text, state.defaults);
    if (!state.commandSet) state.defaults.cmd = null;
  };
}

/** Names and values are expanded with what was set before the whole instruction. */
function pairs(
  statement: Statement,
  of: { readonly instruction: 'ENV' | 'LABEL'; readonly escape: Escape },
): (state: State) => [string, string][] {
  parseFlags(statement.flags, []);
  const list = nameValues({ ...of, text: statement.text });
  if (list.length === 0) throw needsArgument(of.instruction, 'one');
  if (list.some(([name]) => name === '')) throw invalid(`${of.instruction} names can not be blank`);
  return (state) => {
    const scope = scopeOf(state);
    return list.map(([name, value]) => [expand(name, scope).word, expand(value, scope).word]);
  };
}

function environment(statement: Statement, escape: Escape): Effect {
  const expanded = pairs(statement, { instruction: 'ENV', escape });
  return (state) => {
    const env = [...(state.defaults.env ?? [])];
    for (const [name, value] of expanded(state)) {
      const at = env.findIndex((entry) => entry.startsWith(`${name}=`));
      if (at < 0) env.push(`${name}=${value}`);
      else env[at] = `${name}=${value}`;
    }
    state.defaults.env = env;
  };
}

function labels(statement: Statement, escape: Escape): Effect {
  const expanded = pairs(statement, { instruction: 'LABEL', escape });
  return (state) => {
    const { defaults } = state;
    defaults.labels = Object.fromEntries([...Object.entries(defaults.labels ?? {}), ...expanded(state)]);
  };
}

function expose({ text, flags }: Statement): Effect {
  if (text === '') throw needsArgument('EXPOSE', 'one');
  parseFlags(flags, []);
  const words = text.split(WHITE).sort();
  return (state) => {
    const expanded = words.flatMap((word) => expand(word, scopeOf(state)).words);
    state.defaults.exposedPorts = union(state.defaults.exposedPorts, expanded.flatMap(exposedPorts));
  };
}

function volumes({ text, flags }: Statement): Effect {
  const paths = (jsonForm(text) ?? (text === '' ? [] : text.split(WHITE))).map((path) => path.trim());
  if (paths.length === 0) throw needsArgument('VOLUME', 'one');
  parseFlags(flags, []);
  const empty = (): EngineError => invalid('VOLUME specified can not be an empty string');
  if (paths.includes('')) throw empty();
  return (state) => {
    const expanded = paths.map((path) => expand(path, scopeOf(state)).word);
    if (expanded.includes('')) throw empty();
    state.defaults.volumes = union(state.defaults.volumes, expanded);
  };
}

function user({ text, flags }: Statement): Effect {
  if (text === '') throw needsArgument('USER', 'exactly one');
  parseFlags(flags, []);
  return (state) => {
    state.defaults.user = expand(text, scopeOf(state)).word;
  };
}

function workingDirectory({ text, flags }: Statement): Effect {
  if (text === '') throw needsArgument('WORKDIR', 'exactly one');
  parseFlags(flags, []);
  return (state) => {
    const path = expand(text, scopeOf(state)).word;
    if (path === '') throw invalid('cannot normalize nothing');
    const parts: string[] = [];
    for (const part of (path.startsWith('/') ? path : `${state.defaults.workingDir}/${path}`).split('/')) {
      if (part === '..') parts.pop();
      else if (part !== '' && part !== '.') parts.push(part);
    }
    state.defaults.workingDir = `/${parts.join('/')}`;
  };
}

/** Numbers are taken as they are: what the kernel has depends on the machine. */
function isSignal(text: string): boolean {
  if (!/^[-+]?\d+$/.test(text)) return (parseSignal(text) ?? 0) !== 0;
  const number = BigInt(text.replace(/^\+/, ''));
  return number !== 0n && number < MOST_NUMBER && number >= -MOST_NUMBER;
}

/** The reference does not look at its options. */
function stopSignal({ text }: Statement): Effect {
  if (text === '') throw needsArgument('STOPSIGNAL', 'exactly one');
  return (state) => {
    const signal = expand(text, scopeOf(state)).word;
    if (!isSignal(signal)) throw invalid(invalidSignal(signal));
    state.defaults.stopSignal = signal;
  };
}

function healthcheck(statement: Statement): Effect {
  const check = healthcheckChange(statement);
  return ({ defaults }) => {
    defaults.healthcheck = check;
  };
}

function trigger({ text, flags, original }: Statement): Effect {
  if (text === '') throw needsArgument('ONBUILD', 'one');
  parseFlags(flags, []);
  const instruction = (/^\S+/.exec(text)?.[0] ?? '').toUpperCase();
  if (instruction === 'ONBUILD') throw invalid("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
  if (instruction === 'MAINTAINER' || instruction === 'FROM')
    throw invalid(`${instruction} isn't allowed as an ONBUILD trigger`);
  return ({ defaults }) => {
    defaults.onBuild = [...(defaults.onBuild ?? []), original.replace(/^\s*ONBUILD\s*/i, '')];
  };
}

const EFFECTS: Readonly<Record<string, (statement: Statement, escape: Escape) => Effect>> = {
  cmd: command,
  entrypoint,
  env: environment,
  expose,
  healthcheck,
  label: labels,
  onbuild: trigger,
  stopsignal: stopSignal,
  user,
  volume: volumes,
  workdir: workingDirectory,
};

/**
 * Applies Dockerfile instructions that change a config and no files; all changes together are one text, so
 * that a line of one may go on in the next. Errors: `invalidArgument`.
 */
export function applyChanges(defaults: ImageDefaults, changes: readonly string[]): ImageDefaults {
  if (changes.length === 0) return defaults;
  const { list, escape } = parseStatements(changes.join('\n'));
  const known = list.map((statement) => {
    const name = statement.instruction.toLowerCase();
    const effectOf = Object.hasOwn(EFFECTS, name) ? EFFECTS[name] : undefined;
    if (effectOf === undefined) throw invalid(unsupportedChange(statement.instruction));
    return () => effectOf(statement, escape);
  });
  const effects = known.map((effectOf) => effectOf());
  const state: State = { defaults: { ...defaults }, escape, commandSet: false };
  for (const effect of effects) effect(state);
  return state.defaults;
}

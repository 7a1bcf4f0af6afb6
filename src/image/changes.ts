import { EngineError } from '#base/errors.ts';
import { invalidSignal, unsupportedChange } from '#api/messages.ts';
import { parseSignal } from '#base/signals.ts';
import type { ImageDefaults } from '#oci/image-config.ts';
import { ChangeBudget, checkChangeText } from './change-budget.ts';
import { ChangeEnvironment } from './change-environment.ts';
import { expand } from './change-expansion.ts';
import { parseFlags } from './change-flags.ts';
import { exposedPorts } from './change-ports.ts';
import { type Escape, parseStatements, type Statement } from './change-statements.ts';
import { jsonForm, nameValues, WHITE } from './change-words.ts';
import { healthcheckChange } from './healthcheck-change.ts';

type Mutable = { -readonly [K in keyof ImageDefaults]: ImageDefaults[K] };

/** What the instructions so far came to. What grows is added to, never copied: instructions are many. */
interface State {
  readonly defaults: Mutable;
  readonly env: ChangeEnvironment;
  readonly labels: Map<string, string>;
  readonly exposedPorts: Set<string>;
  readonly volumes: Set<string>;
  readonly onBuild: string[];
  /** Those of them that the instructions are about; the others stay as they were. */
  readonly changed: Set<Grown>;
  readonly escape: Escape;
  readonly budget: ChangeBudget;
  commandSet: boolean;
}

type Grown = 'env' | 'labels' | 'exposedPorts' | 'volumes' | 'onBuild';

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

function initialState(defaults: ImageDefaults, escape: Escape): State {
  return {
    defaults: { ...defaults },
    env: new ChangeEnvironment(defaults.env ?? []),
    labels: new Map(Object.entries(defaults.labels ?? {})),
    exposedPorts: new Set(defaults.exposedPorts),
    volumes: new Set(defaults.volumes),
    onBuild: [...(defaults.onBuild ?? [])],
    changed: new Set(),
    escape,
    budget: new ChangeBudget(),
    commandSet: false,
  };
}

function changedDefaults(state: State): ImageDefaults {
  const { defaults, changed } = state;
  const orNull = (all: ReadonlySet<string>): string[] | null => (all.size === 0 ? null : [...all]);
  if (changed.has('env')) defaults.env = state.env.list;
  if (changed.has('labels')) defaults.labels = Object.fromEntries(state.labels);
  if (changed.has('exposedPorts')) defaults.exposedPorts = orNull(state.exposedPorts);
  if (changed.has('volumes')) defaults.volumes = orNull(state.volumes);
  if (changed.has('onBuild')) defaults.onBuild = state.onBuild;
  return defaults;
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
    return list.map(([name, value]) => [expand(name, state).word, expand(value, state).word]);
  };
}

function environment(statement: Statement, escape: Escape): Effect {
  const expanded = pairs(statement, { instruction: 'ENV', escape });
  return (state) => {
    for (const [name, value] of expanded(state)) state.env.set(name, value);
    state.changed.add('env');
  };
}

function labels(statement: Statement, escape: Escape): Effect {
  const expanded = pairs(statement, { instruction: 'LABEL', escape });
  return (state) => {
    for (const [name, value] of expanded(state)) state.labels.set(name, value);
    state.changed.add('labels');
  };
}

function expose({ text, flags }: Statement): Effect {
  if (text === '') throw needsArgument('EXPOSE', 'one');
  parseFlags(flags, []);
  const words = text.split(WHITE).sort();
  return (state) => {
    const { budget } = state;
    const expanded = new Set(words.flatMap((word) => expand(word, state).words));
    for (const word of expanded) for (const port of exposedPorts(word, budget)) state.exposedPorts.add(port);
    state.changed.add('exposedPorts');
  };
}

function volumes({ text, flags }: Statement): Effect {
  const paths = (jsonForm(text) ?? (text === '' ? [] : text.split(WHITE))).map((path) => path.trim());
  if (paths.length === 0) throw needsArgument('VOLUME', 'one');
  parseFlags(flags, []);
  const empty = (): EngineError => invalid('VOLUME specified can not be an empty string');
  if (paths.includes('')) throw empty();
  return (state) => {
    const expanded = paths.map((path) => expand(path, state).word);
    if (expanded.includes('')) throw empty();
    for (const path of expanded) state.volumes.add(path);
    state.changed.add('volumes');
  };
}

function user({ text, flags }: Statement): Effect {
  if (text === '') throw needsArgument('USER', 'exactly one');
  parseFlags(flags, []);
  return (state) => {
    state.defaults.user = expand(text, state).word;
  };
}

function workingDirectory({ text, flags }: Statement): Effect {
  if (text === '') throw needsArgument('WORKDIR', 'exactly one');
  parseFlags(flags, []);
  return (state) => {
    const path = expand(text, state).word;
    if (path === '') throw invalid('cannot normalize nothing');
    const whole = path.startsWith('/') ? path : `${state.defaults.workingDir}/${path}`;
    // Below a long directory, each of many short ones is as long.
    state.budget.addExpanded(Buffer.byteLength(whole));
    const parts: string[] = [];
    for (const part of whole.split('/')) {
      if (part === '..') parts.pop();
      else if (part !== '' && part !== '.') parts.push(part);
    }
    state.defaults.workingDir = `/${parts.join('/')}`;
  };
}

/** Numbers are taken as they are: what the kernel has depends on the machine. */
function isSignal(text: string): boolean {
  if (!/^[-+]?\d+$/.test(text)) return (parseSignal(text) ?? 0) !== 0;
  const [, sign = '', digits] = /^([-+]?)0*(\d{1,19})$/.exec(text) ?? [];
  if (digits === undefined) return false;
  const number = BigInt(sign === '-' ? `-${digits}` : digits);
  return number !== 0n && number < MOST_NUMBER && number >= -MOST_NUMBER;
}

/** The reference does not look at its options. */
function stopSignal({ text }: Statement): Effect {
  if (text === '') throw needsArgument('STOPSIGNAL', 'exactly one');
  return (state) => {
    const signal = expand(text, state).word;
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
  return ({ onBuild, changed }) => {
    onBuild.push(original.replace(/^\s*ONBUILD\s*/i, ''));
    changed.add('onBuild');
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
  const text = changes.join('\n');
  checkChangeText(text);
  const { list, escape } = parseStatements(text);
  const known = list.map((statement) => {
    const name = statement.instruction.toLowerCase();
    const effectOf = Object.hasOwn(EFFECTS, name) ? EFFECTS[name] : undefined;
    if (effectOf === undefined) throw invalid(unsupportedChange(statement.instruction));
    return () => effectOf(statement, escape);
  });
  const effects = known.map((effectOf) => effectOf());
  const state = initialState(defaults, escape);
  for (const effect of effects) effect(state);
  return changedDefaults(state);
}

/** Holds every file of src/ against the table in src/layers.ts. There are no exemptions. */
import { isBuiltin } from 'node:module';
import { dirname, join } from 'node:path';
import { CLIENT_IMPORTERS, LAYERS, PACKAGES, PUBLIC_FOLDERS, type Room } from '../src/layers.ts';
import { findCycles } from './source/cycles.ts';
import { finish, readSources, type SourceFile } from './source/files.ts';
import { importsOf, isBarrel } from './source/imports.ts';
import { TreeCalls } from './source/tree-calls.ts';

export interface LayerTable {
  readonly rooms: Readonly<Record<string, Room>>;
  readonly packages: Readonly<Record<string, readonly string[]>>;
  readonly publicFolders: readonly string[];
  readonly clientImporters: readonly string[];
}

interface Place {
  readonly room: string;
  readonly path: string;
  /** Tests and conformance suites may use any builtin and the support of test/; rooms bind them as well. */
  readonly isTest: boolean;
}

function roomOf(path: string): string {
  return path.split('/')[1] ?? '';
}

function judgeBuiltin(name: string, place: Place, room: Room): string | undefined {
  if (place.isTest || room.builtins.includes(name)) return undefined;
  return `room ${place.room} may not use node:${name}`;
}

function judgeCrossing(specifier: string, place: Place, table: LayerTable): string | undefined {
  const [target = '', ...rest] = specifier.slice(1).split('/');
  const room = table.rooms[place.room];
  if (target === place.room) return `${specifier} stays in its room: write it as a relative path`;
  if (table.rooms[target] === undefined) return `there is no room ${target}`;
  if (!room?.rooms.includes(target)) return `room ${place.room} may not import room ${target}`;
  const folder = [target, ...rest.slice(0, -1)].join('/');
  if (rest.length === 1) return undefined;
  if (!table.publicFolders.includes(folder))
    return `${specifier} is private to room ${target}: only its files at depth 1 are public`;
  if (!table.clientImporters.includes(place.room)) return `room ${place.room} may not import ${folder}`;
  return undefined;
}

function judgeRelative(target: string, place: Place): string | undefined {
  if (place.isTest && target.startsWith('test/')) return undefined;
  if (!target.startsWith('src/') || roomOf(target) !== place.room)
    return `${target} is outside of room ${place.room}: cross by #room/file`;
  return undefined;
}

function resolved(specifier: string, place: Place): string | undefined {
  if (specifier.startsWith('#')) return `src/${specifier.slice(1)}`;
  return specifier.startsWith('.') ? join(dirname(place.path), specifier) : undefined;
}

function judgeImport(specifier: string, place: Place, table: LayerTable): string | undefined {
  const room = table.rooms[place.room];
  if (room === undefined) return undefined;
  if (specifier.startsWith('node:')) return judgeBuiltin(specifier.slice(5), place, room);
  if (isBuiltin(specifier)) return `write node:${specifier}`;
  const target = resolved(specifier, place);
  if (target === undefined) {
    const isAllowed =
      table.packages[place.room]?.includes(specifier) || (place.isTest && specifier === 'fast-check');
    return isAllowed ? undefined : `room ${place.room} may not use the package ${specifier}`;
  }
  if (!/\.(ts|json)$/.test(target)) return `${specifier} has to end in .ts`;
  return specifier.startsWith('#') ? judgeCrossing(specifier, place, table) : judgeRelative(target, place);
}

/** All violations in the given files of src/, as `path:line: what`. */
export function checkLayers(files: readonly SourceFile[], table: LayerTable): string[] {
  const violations: string[] = [];
  const paths = new Set(files.map((file) => file.path));
  const graph = new Map<string, string[]>();
  const trees = new TreeCalls(files);
  for (const file of files) {
    const place = {
      room: roomOf(file.path),
      path: file.path,
      isTest: /(\.(test|conformance)|\/test-support)\.ts$/.test(file.path),
    };
    if (table.rooms[place.room] === undefined)
      violations.push(`${file.path}: belongs to no room of src/layers.ts`);
    if (/(^|\/)index\.ts$/.test(file.path) || isBarrel(file))
      violations.push(`${file.path}: a barrel: import from where a name is defined`);
    violations.push(...trees.in(file));
    const edges: string[] = [];
    for (const { specifier, line } of importsOf(file)) {
      const target = resolved(specifier, place);
      if (target?.startsWith('src/') && target.endsWith('.ts')) {
        if (paths.has(target)) edges.push(target);
        else violations.push(`${file.path}:${line}: ${specifier} does not exist`);
      }
      const problem = judgeImport(specifier, place, table);
      if (problem !== undefined) violations.push(`${file.path}:${line}: ${problem}`);
    }
    graph.set(file.path, edges);
  }
  for (const cycle of findCycles(graph))
    violations.push(`${cycle[0]}: files import each other in a circle: ${cycle.join(' → ')}`);
  return violations;
}

if (import.meta.main) {
  const files = readSources().filter(
    ({ path }) => /^src\/.+\/.*\.ts$/.test(path) || (/^src\/.*\.ts$/.test(path) && path !== 'src/layers.ts'),
  );
  const table = {
    rooms: LAYERS,
    packages: PACKAGES,
    publicFolders: PUBLIC_FOLDERS,
    clientImporters: CLIENT_IMPORTERS,
  };
  finish(checkLayers(files, table), `${files.length} files keep to the layers`);
}

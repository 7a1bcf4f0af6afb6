import { parseSync } from 'oxc-parser';
import type { SourceFile } from './files.ts';

export interface Import {
  readonly specifier: string;
  readonly line: number;
}

function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length;
}

/**
 * Every module that a file names: imports (also of types), re-exports, `import()` of a literal, and the URLs
 * of its workers.
 */
export function importsOf({ path, text }: SourceFile): Import[] {
  const { module } = parseSync(path, text);
  const found: Import[] = [];
  const add = (specifier: string, start: number): void => {
    found.push({ specifier, line: lineAt(text, start) });
  };
  for (const item of module.staticImports) add(item.moduleRequest.value, item.start);
  for (const item of module.staticExports) {
    const request = item.entries.find((entry) => entry.moduleRequest !== null)?.moduleRequest;
    if (request) add(request.value, item.start);
  }
  for (const item of module.dynamicImports) {
    const literal = /^(['"`])([^$]*)\1$/.exec(text.slice(item.moduleRequest.start, item.moduleRequest.end));
    if (literal?.[2] !== undefined) add(literal[2], item.start);
  }
  for (const match of text.matchAll(/new URL\(\s*'(\.[^']+\.ts)',\s*import\.meta\.url/g))
    if (match[1] !== undefined) add(match[1], match.index);
  return found;
}

/** Does the file only pass other files' names on? */
export function isBarrel({ path, text }: SourceFile): boolean {
  const { program } = parseSync(path, text);
  const exports = program.body.filter((statement) => statement.type !== 'ImportDeclaration');
  const passesOn = (statement: (typeof exports)[number]): boolean =>
    statement.type === 'ExportAllDeclaration' ||
    (statement.type === 'ExportNamedDeclaration' && statement.source !== null);
  return exports.length > 0 && exports.every(passesOn);
}

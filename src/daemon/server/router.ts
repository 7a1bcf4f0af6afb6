import type { Handler, Route } from './call.ts';

interface Match {
  readonly handler: Handler;
  readonly params: ReadonlyMap<string, string>;
}

interface CompiledRoute {
  readonly handler: Handler;
  readonly expression: RegExp;
  readonly names: readonly string[];
}

/** `/images/{name...}/json` → an expression with one group per placeholder. */
function compile(pattern: string, handler: Handler): CompiledRoute {
  const names: string[] = [];
  const source = pattern
    .replace(/[.]/g, '\\$&')
    .replace(/\{(\w+)((?:\\\.)*)\}/g, (_all, name: string, many: string) => {
      names.push(name);
      return many === '' ? '([^/]+)' : '(.+)';
    });
  return { handler, names, expression: new RegExp(`^${source}$`) };
}

function decode(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

/**
 * A table of patterns per method, tried in order: image names contain slashes, which prefix trees do not
 * like.
 */
export class Router {
  readonly #fixed = new Map<string, Handler>();
  readonly #patterns = new Map<string, CompiledRoute[]>();

  constructor(routes: readonly Route[]) {
    for (const [method, pattern, handler] of routes) {
      if (!pattern.includes('{')) {
        this.#fixed.set(`${method} ${pattern}`, handler);
        continue;
      }
      const list = this.#patterns.get(method) ?? [];
      list.push(compile(pattern, handler));
      this.#patterns.set(method, list);
    }
  }

  find(method: string, path: string): Match | null {
    const fixed = this.#fixed.get(`${method} ${path}`);
    if (fixed !== undefined) return { handler: fixed, params: new Map() };
    for (const route of this.#patterns.get(method) ?? []) {
      const found = route.expression.exec(path);
      if (found === null) continue;
      const values = found.slice(1).map(decode);
      if (values.includes(null)) return null;
      return {
        handler: route.handler,
        params: new Map(route.names.map((name, i) => [name, values[i] ?? ''])),
      };
    }
    return null;
  }
}

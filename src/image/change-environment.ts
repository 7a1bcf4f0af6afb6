/**
 * `KEY=value` entries, found by their keys. Of entries with one key, the first is what a new value replaces
 * and the last is what a variable becomes.
 */
export class ChangeEnvironment {
  readonly #list: string[] = [];
  readonly #first = new Map<string, number>();
  readonly #last = new Map<string, number>();

  constructor(entries: readonly string[]) {
    for (const entry of entries) this.#append(entry);
  }

  get list(): readonly string[] {
    return this.#list;
  }

  get(name: string): string | undefined {
    const entry = this.#list[this.#last.get(name) ?? -1];
    if (entry === undefined) return undefined;
    const at = entry.indexOf('=');
    return at < 0 ? '' : entry.slice(at + 1);
  }

  set(name: string, value: string): void {
    const entry = `${name}=${value}`;
    const at = this.#first.get(name);
    if (at === undefined) this.#append(entry);
    else this.#list[at] = entry;
  }

  #append(entry: string): void {
    const end = entry.indexOf('=');
    const key = end < 0 ? entry : entry.slice(0, end);
    const at = this.#list.push(entry) - 1;
    if (!this.#first.has(key)) this.#first.set(key, at);
    this.#last.set(key, at);
  }
}

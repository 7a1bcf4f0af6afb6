import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PLAIN_ENV } from '../command.ts';

/*
 * A `docker-credential-*` program as the CLI calls it: a verb, and JSON or an address on standard input. It
 * keeps its entries in a file, and writes down how it was called.
 */

const PROGRAM = `#!${process.execPath}
const { readFileSync, writeFileSync, appendFileSync } = require('node:fs');
const file = process.argv[1] + '.kept';
const kept = JSON.parse(readFileSync(file, 'utf8'));
const given = process.argv[2] === 'list' ? '' : readFileSync(0, 'utf8').trim();
appendFileSync(process.argv[1] + '.calls', process.argv[2] + '\\n');
const fail = (text) => { process.stdout.write(text + '\\n'); process.exit(1); };
const refusal = process.env.TEST_STORE_FAILS;
if (refusal) fail(refusal);
const save = () => writeFileSync(file, JSON.stringify(kept));
const verbs = {
  store() { const entry = JSON.parse(given); kept[entry.ServerURL] = entry; save(); },
  get() {
    if (kept[given] === undefined) fail('credentials not found in native keychain');
    process.stdout.write(JSON.stringify(kept[given]));
  },
  erase() { delete kept[given]; save(); },
  list() {
    const names = Object.entries(kept).map(([server, { Username }]) => [server, Username]);
    process.stdout.write(JSON.stringify(Object.fromEntries(names)));
  },
};
verbs[process.argv[2]]();
`;

export interface KeptCredentials {
  readonly ServerURL: string;
  readonly Username: string;
  readonly Secret: string;
}

/** A folder of such programs, for the PATH of the CLI. */
export class CredentialPrograms {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async make(folder: string, names: readonly string[]): Promise<CredentialPrograms> {
    await mkdir(folder, { recursive: true });
    for (const name of names) {
      const path = join(folder, `docker-credential-${name}`);
      await writeFile(path, PROGRAM);
      await chmod(path, 0o755);
      await writeFile(`${path}.kept`, '{}');
      await writeFile(`${path}.calls`, '');
    }
    return new CredentialPrograms(folder);
  }

  /** For the CLI's environment. */
  get path(): string {
    return `${this.folder}:${PLAIN_ENV['PATH'] ?? ''}`;
  }

  async kept(name: string): Promise<readonly KeptCredentials[]> {
    const text = await readFile(join(this.folder, `docker-credential-${name}.kept`), 'utf8');
    return Object.values(JSON.parse(text) as Record<string, KeptCredentials>);
  }

  /** The verbs since the last question. */
  async calls(name: string): Promise<readonly string[]> {
    const file = join(this.folder, `docker-credential-${name}.calls`);
    const text = await readFile(file, 'utf8');
    await writeFile(file, '');
    return text.split('\n').filter((line) => line !== '');
  }
}

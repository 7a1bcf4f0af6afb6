/** Runs each case by us and by other runtimes, and holds what the probe tells against each other. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, describe, test, type TestContext } from 'node:test';
import { CRUN, OURS, place, RUNC, type Runtime, runBundle } from './bundle.ts';
import type { Case } from './cases.ts';
import { type Against, Known, KNOWN_DIFFERENCES } from './differences.ts';
import { tellsTheSame } from './error-text.ts';
import { compare, type Sections, sectionsOf } from './normalize.ts';

export interface Peer {
  readonly runtime: Runtime;
  readonly against: Against;
  /** Lines to leave out of both: of what a runtime that sees another host cannot tell. */
  readonly without?: RegExp;
}

/** Where the hierarchies are hybrid crun runs where the unified one is hidden, so it shows none. */
const isHybrid = existsSync('/sys/fs/cgroup/unified');

export const PEERS: readonly Peer[] = [
  { runtime: RUNC, against: 'runc' },
  { runtime: CRUN, against: 'crun', ...(isHybrid && { without: /^0::/ }) },
];

export interface Options {
  /** Not all cases are run, on cgroup v2: of the listed differences those must show which only this has. */
  readonly isSample?: boolean;
}

const MAX_KNOWN = 15;
const SECTIONS = 15;

export interface Ending {
  readonly exit: number;
  readonly text: string;
}

interface Endings {
  readonly peer: Peer;
  readonly mine: Ending;
  readonly other: Ending | undefined;
  readonly known: Known | undefined;
}

/** What nothing explains of two ends: the exit codes are equal always, the texts as far as the wording is. */
export function unlike({ peer, mine, other, known }: Endings): string[] {
  assert.ok(other && known);
  const [ours, theirs] = [mine, other].map(({ exit, text }) => `${exit} ${text}`);
  assert.ok(ours !== undefined && theirs !== undefined);
  const isSame = peer.against === 'crun' ? tellsTheSame(mine.text, other.text) : mine.text === other.text;
  if ((mine.exit === other.exit && isSame) || known.explains(ours, theirs)) return [];
  return [`ours: ${ours}`, `${peer.against}: ${theirs}`];
}

export function filtered(sections: Sections, without: RegExp | undefined): Sections {
  if (without === undefined) return sections;
  return new Map([...sections].map(([name, lines]) => [name, lines.filter((line) => !without.test(line))]));
}

interface Seen {
  readonly exit: number;
  readonly stderr: string;
  readonly sections: Sections;
}

async function look(t: TestContext, runtime: Runtime, { spec, more, terminal }: Case): Promise<Seen> {
  const at = place(t);
  const made = await spec(at);
  const { exit, stdout, stderr } = await runBundle(at, runtime, { spec: made, terminal });
  const sections = sectionsOf(stdout, at);
  assert.ok(sections.size > SECTIONS, `the probe of ${runtime.name} said nothing: ${stdout}${stderr}`);
  if (more === undefined) return { exit, stderr, sections };
  return { exit, stderr, sections: new Map([...sections, ['more', more(at).split('\n')]]) };
}

export function differential(cases: readonly Case[], peers: readonly Peer[], options: Options = {}): void {
  describe(`what a container sees, against ${peers.map(({ against }) => against).join(' and ')}`, () => {
    const known = new Map(peers.map((peer) => [peer, new Known('container', peer.against)]));
    for (const each of cases) {
      test(each.name, async (t) => {
        const looks = [OURS, ...peers.map(({ runtime }) => runtime)].map((runtime) => look(t, runtime, each));
        // One that fails does not end the test, and remove its files, while others run.
        await Promise.allSettled(looks);
        const [mine, ...others] = await Promise.all(looks);
        const rest = peers.flatMap((peer, i) => {
          const other = others[i];
          assert.ok(mine && other);
          assert.equal(mine.exit, other.exit, `${mine.stderr}\n--- ${other.stderr}`);
          const [ours, theirs] = [mine, other].map(({ sections }) => filtered(sections, peer.without));
          assert.ok(ours && theirs);
          const found = compare(ours, theirs).flatMap((one) => known.get(peer)?.unexplained(one) ?? []);
          return found.map((line) => `${peer.against}: ${line}`);
        });
        assert.deepEqual(rest, []);
      });
    }
    after(() => {
      const gone = [...known.values()].flatMap((list) => list.gone(options.isSample === true));
      assert.deepEqual(gone, [], 'differences that are not there any more');
      assert.ok(KNOWN_DIFFERENCES.length <= MAX_KNOWN, 'the list has grown too long');
    });
  });
}

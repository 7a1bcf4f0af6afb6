import assert from 'node:assert/strict';
import { before } from 'node:test';
import { make } from '../../tools/build-steps/target.ts';
import { DEBIAN, debianTarget } from '../../tools/set-up/debian.ts';
import { e2e } from '../support/e2e.ts';
import { run, until } from '../support/command.ts';
import type { TestDaemon } from '../support/daemon.ts';

/** Making the distribution's tree takes a minute, once. */
const TIME_LIMIT_MS = 170_000;

const SERVER = `
use IO::Socket::INET;
my $server = IO::Socket::INET->new(LocalPort => 8000, Listen => 5, ReuseAddr => 1) or die "listen: $!";
while (my $client = $server->accept) {
  while (my $line = <$client>) { last if $line =~ /^\\r?$/ }
  my $page = "served by perl $]\\n";
  print $client "HTTP/1.0 200 OK\\r\\nContent-Length: " . length($page) . "\\r\\n\\r\\n$page";
  close $client;
}
`;

async function fetchPage(daemon: TestDaemon, address: string): Promise<string> {
  return until(
    async () => {
      const answer = await daemon.inNetwork(['curl', '-sSfm', '2', `http://${address}/`]);
      return answer.exit === 0 ? answer.stdout : undefined;
    },
    { what: `an answer from ${address}` },
  );
}

/** The distribution's own programs, a shell on a terminal, a server that the host reaches. */
async function useDebian(daemon: TestDaemon, image: string): Promise<void> {
  assert.match(await daemon.mustDocker(['run', '--rm', image, 'apt-get', '--version']), /^apt 2\.6\.\d+ \(/);
  const perl = await daemon.mustDocker(['run', '--rm', image, 'perl', '-e', 'print 6 * 7, " $^O"']);
  assert.equal(perl, '42 linux');
  const release = await daemon.mustDocker([
    'run',
    '--rm',
    image,
    'sed',
    '-n',
    's/^VERSION_ID=//p',
    '/etc/os-release',
  ]);
  assert.equal(release, '"12"');
  // `passwd` and `su` need set-uid bits, `_apt` an owner other than root: what a layer has to bring whole.
  const modes = await daemon.mustDocker([
    'run',
    '--rm',
    image,
    'stat',
    '-c',
    '%a %U %n',
    '/usr/bin/passwd',
    '/tmp',
  ]);
  assert.equal(modes, '4755 root /usr/bin/passwd\n1777 root /tmp');
  const user = await daemon.mustDocker([
    'run',
    '--rm',
    '-u',
    'www-data',
    '-w',
    '/var/tmp',
    image,
    'bash',
    '-c',
    'id -un; pwd',
  ]);
  assert.equal(user, 'www-data\n/var/tmp');
  await useTerminal(daemon, image);
  await daemon.mustDocker(['run', '-d', '--name', 'server', '-p', '8000:8000', image, 'perl', '-e', SERVER]);
  for (const address of ['127.0.0.1:8000', '198.18.0.1:8000'])
    assert.match(await fetchPage(daemon, address), /^served by perl 5\./);
}

/** `script` gives the client a terminal, as a person's shell does. */
async function useTerminal(daemon: TestDaemon, image: string): Promise<void> {
  const typed = 'tty; test -t 0 && stty size; dpkg --print-architecture; exit 9\n';
  await daemon.mustDocker(['run', '-dit', '--name', 'shell', image, 'bash', '--norc']);
  const command = `docker --host ${daemon.host} attach shell`;
  const attached = await run('script', ['-qec', command, '/dev/null'], {
    input: typed,
    env: daemon.clientEnv(),
  });
  assert.match(attached.stdout, /\/dev\/pts\/0\r/, attached.stderr);
  assert.match(attached.stdout, /\n\d+ \d+\r/);
  assert.match(attached.stdout, /\n(amd64|arm64)\r/);
  assert.equal(await daemon.mustDocker(['wait', 'shell']), '9');
}

before(async () => {
  await make(debianTarget());
});

for (const [format, { archive, reference }] of Object.entries(DEBIAN)) {
  e2e(
    `a Debian loads from an archive in the ${format} format and works`,
    { images: [], timeoutMs: TIME_LIMIT_MS },
    async (daemon) => {
      assert.equal(await daemon.mustDocker(['load', '-i', archive]), `Loaded image: ${reference}`);
      await useDebian(daemon, reference);
    },
  );
}

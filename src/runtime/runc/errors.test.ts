import assert from 'node:assert/strict';
import { test } from 'node:test';
import { execFailure, lastLogMessage, type RuntimeFailure, startFailure } from './errors.ts';

const failed = (msg: string): RuntimeFailure => ({
  status: 1,
  logTail: `{"level":"warning","msg":"w"}\n${JSON.stringify({ level: 'error', msg, time: 't' })}\n`,
  stderrTail: '',
  shimMessage: '',
  runtimePath: '/usr/sbin/runc',
});
const no = (): boolean => false;
const HEAD =
  'failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: ';
const RUNC = 'runc run failed: unable to start container process: ';

test('start: texts and exit codes of the reference', () => {
  const cases: [string, string, string, number, string][] = [
    ['nope', 'exec: "nope": executable file not found in $PATH', '', 127, 'invalidArgument'],
    ['/no/such', 'exec: "/no/such": stat /no/such: no such file or directory', '', 127, 'invalidArgument'],
    ['/etc/passwd', 'exec: "/etc/passwd": permission denied', '', 126, 'invalidArgument'],
  ];
  for (const [command, message, , code, kind] of cases) {
    const error = startFailure(failed(RUNC + message), command, no);
    assert.equal(error.message, `${HEAD}error during container init: ${message}`);
    assert.deepEqual([error.exitCode, error.kind], [code, kind]);
  }
  const directory = startFailure(
    failed(`${RUNC}exec: "/tmp": permission denied`),
    '/tmp',
    (path) => path === '/tmp',
  );
  assert.equal(
    directory.message,
    `${HEAD}error during container init: exec: "/tmp": is a directory: permission denied`,
  );
  assert.equal(directory.exitCode, 126);
  const hostname = startFailure(
    failed(`${RUNC}error during container init: sethostname: invalid argument`),
    'true',
    no,
  );
  assert.equal(hostname.message, `${HEAD}error during container init: sethostname: invalid argument`);
  assert.deepEqual([hostname.exitCode, hostname.kind], [128, 'internal']);
});

test('exec: texts without the init remark', () => {
  const message =
    'exec failed: unable to start container process: exec: "nope": executable file not found in $PATH';
  const error = execFailure(failed(message), 'nope', no);
  assert.equal(error.message, `OCI runtime exec failed: ${message}`);
  assert.equal(error.exitCode, 127);
});

test('a runtime that said nothing, or is not there', () => {
  const empty = { ...failed('x'), logTail: '' };
  assert.match(
    startFailure({ ...empty, status: 127 }, 'c', no).message,
    /fork\/exec \/usr\/sbin\/runc: no such file/,
  );
  assert.match(
    startFailure({ ...empty, stderrTail: 'panic\n' }, 'c', no).message,
    /OCI runtime create failed: panic$/,
  );
  assert.match(startFailure(empty, 'c', no).message, /did not terminate successfully: exit status 1$/);
  assert.match(startFailure({ ...empty, shimMessage: 'fork' }, 'c', no).message, /runc: fork$/);
});

test('the log is input like any other', () => {
  const deep = `{"msg":${'['.repeat(200)}}`;
  assert.equal(
    lastLogMessage(`half a line"}\n{"level":"info","msg":"kept"}\n${deep}\n{"msg":5}\n{"level":"err`),
    'kept',
  );
  assert.equal(lastLogMessage(''), '');
  assert.equal(lastLogMessage(JSON.stringify({ level: 'error', msg: 'x'.repeat(9999) })).length, 4096);
});

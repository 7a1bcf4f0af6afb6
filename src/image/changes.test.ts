import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isEngineError } from '#base/errors.ts';
import { EMPTY_DEFAULTS, type ImageDefaults } from '#oci/image-config.ts';
import { applyChanges } from './changes.ts';

const BASE: ImageDefaults = {
  ...EMPTY_DEFAULTS,
  env: ['PATH=/bin', 'OLD=1'],
  cmd: ['sh'],
  entrypoint: ['/init'],
  workingDir: '/srv',
  labels: { a: '1' },
};
const SECOND = 1e9;

const CASES: readonly (readonly [change: string, expected: Partial<ImageDefaults>])[] = [
  ['CMD ["cat","/f"]', { cmd: ['cat', '/f'] }],
  ['CMD cat /f', { cmd: ['/bin/sh', '-c', 'cat /f'] }],
  ['ENTRYPOINT ["/x"]', { entrypoint: ['/x'], cmd: null }],
  ['CMD ["y"]\nENTRYPOINT ["/x"]', { entrypoint: ['/x'], cmd: ['y'] }],
  ['ENV A=1 B="2 3"', { env: ['PATH=/bin', 'OLD=1', 'A=1', 'B=2 3'] }],
  ['ENV OLD=$OLD:2', { env: ['PATH=/bin', 'OLD=1:2'] }],
  ['ENV NAME the rest', { env: ['PATH=/bin', 'OLD=1', 'NAME=the rest'] }],
  ['EXPOSE 80 53/udp 8000-8001', { exposedPorts: ['53/udp', '80/tcp', '8000/tcp', '8001/tcp'] }],
  ['LABEL b=2 a="x y"', { labels: { a: 'x y', b: '2' } }],
  ['ONBUILD RUN true', { onBuild: ['RUN true'] }],
  ['USER 1000:1000', { user: '1000:1000' }],
  ['VOLUME /a /b', { volumes: ['/a', '/b'] }],
  ['VOLUME ["/c"]', { volumes: ['/c'] }],
  ['WORKDIR sub/../other', { workingDir: '/srv/other' }],
  ['STOPSIGNAL SIGQUIT', { stopSignal: 'SIGQUIT' }],
  ['STOPSIGNAL --ignored -1', { stopSignal: '-1' }],
  // Lines that go on, with blank lines and comments between them.
  ['ENV A=1 \\\n B=2', { env: ['PATH=/bin', 'OLD=1', 'A=1', 'B=2'] }],
  ['ENV A=1 \\  \n# why\n\n  # that\n B=2', { env: ['PATH=/bin', 'OLD=1', 'A=1', 'B=2'] }],
  ['E\\\nNV A=x\\\ny', { env: ['PATH=/bin', 'OLD=1', 'A=xy'] }],
  ['ENV A=1 \\', { env: ['PATH=/bin', 'OLD=1', 'A=1'] }],
  ['CMD a \\\n  b\r\nUSER c', { cmd: ['/bin/sh', '-c', 'a   b'], user: 'c' }],
  ['# escape=`\nENV A=1 `\n B=c:\\x', { env: ['PATH=/bin', 'OLD=1', 'A=1', 'B=c:\\x'] }],
  ['ONBUILD  run  a \\\n b', { onBuild: ['run  a  b'] }],
  // Nothing behind the word.
  ['CMD', { cmd: ['/bin/sh', '-c'] }],
  ['ENTRYPOINT', { entrypoint: null, cmd: null }],
  ['CMD []', { cmd: [] }],
  ['CMD\nENTRYPOINT', { entrypoint: null, cmd: null }],
  ['CMD a\nENTRYPOINT []', { entrypoint: null, cmd: ['/bin/sh', '-c', 'a'] }],
  ['CMD ["a"', { cmd: ['/bin/sh', '-c', '["a"'] }],
  ['USER "" ', { user: '' }],
  ['EXPOSE $X', {}],
  ['EXPOSE 8080:80 1-2:3-4/UDP', { exposedPorts: ['3/udp', '4/udp', '80/tcp'] }],
  ['ENV A  "b c"  d', { env: ['PATH=/bin', 'OLD=1', 'A=b c  d'] }],
  ['LABEL a= b=c=d \'e f\'="g"h', { labels: { a: '', b: 'c=d', 'e f': 'gh' } }],
  ['VOLUME ["/b c", "/d "]', { volumes: ['/b c', '/d'] }],
  ['HEALTHCHECK --nope NONE', { healthcheck: applyChanges(BASE, ['HEALTHCHECK NONE']).healthcheck }],
  [
    'HEALTHCHECK --interval=1m30s --timeout=500ms --start-period=2s --start-interval=1.5s --retries=3 CMD curl x',
    {
      healthcheck: {
        test: ['CMD-SHELL', 'curl x'],
        intervalNs: 90 * SECOND,
        timeoutNs: SECOND / 2,
        startPeriodNs: 2 * SECOND,
        startIntervalNs: 1.5 * SECOND,
        retries: 3,
      },
    },
  ],
];

test('each instruction changes what it names, and nothing else', () => {
  for (const [change, expected] of CASES)
    assert.deepEqual(applyChanges(BASE, [change]), { ...BASE, ...expected }, change);
  assert.deepEqual(applyChanges(BASE, ['HEALTHCHECK CMD ["a","b"]']).healthcheck?.test, ['CMD', 'a', 'b']);
  assert.deepEqual(applyChanges(BASE, ['HEALTHCHECK NONE']).healthcheck?.test, ['NONE']);
});

const UNENDED = 'unexpected end of statement while looking for matching';

const REFUSED: readonly (readonly [change: string, message: string])[] = [
  ['NOPE x', 'NOPE is not a valid change command'],
  ['RUN true', 'RUN is not a valid change command'],
  ['ENV', 'ENV requires at least one argument'],
  ['ENV A', 'ENV must have two arguments'],
  ['EXPOSE x', 'Invalid containerPort: x'],
  ['ONBUILD ONBUILD RUN x', "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"],
  ['ONBUILD FROM x', "FROM isn't allowed as an ONBUILD trigger"],
  ['HEALTHCHECK', 'HEALTHCHECK requires at least one argument'],
  ['HEALTHCHECK NONE x', 'HEALTHCHECK NONE takes no arguments'],
  ['HEALTHCHECK CMD', 'Missing command after HEALTHCHECK CMD'],
  ['HEALTHCHECK SHELL x', 'Unknown type "SHELL" in HEALTHCHECK (try CMD)'],
  ['HEALTHCHECK --interval=5 CMD x', 'time: missing unit in duration "5"'],
  ['HEALTHCHECK --interval=x CMD x', 'time: invalid duration "x"'],
  ['HEALTHCHECK --interval=1us CMD x', 'Interval "interval" cannot be less than 1ms'],
  ['HEALTHCHECK --retries=-1 CMD x', '--retries cannot be negative (-1)'],
  ['HEALTHCHECK --nope=1 CMD x', 'unknown flag: --nope'],
  ['HEALTHCHECK --interval CMD x', 'missing a value on flag: --interval'],
  ['HEALTHCHECK --retries=1 --retries=2 CMD x', 'duplicate flag specified: --retries'],
  ['EXPOSE', 'EXPOSE requires at least one argument'],
  ['EXPOSE 80-70', 'Invalid containerPort: 80-70'],
  ['EXPOSE 80/xyz', 'Invalid proto: xyz'],
  ['STOPSIGNAL', 'STOPSIGNAL requires exactly one argument'],
  ['STOPSIGNAL NOPE', 'invalid signal: NOPE'],
  ['STOPSIGNAL 0', 'invalid signal: 0'],
  ['STOPSIGNAL $X', 'invalid signal: '],
  ['STOPSIGNAL 99999999999999999999', 'invalid signal: 99999999999999999999'],
  ['ENV A="b', `failed to process "\\"b": ${UNENDED} double-quote`],
  ["LABEL a='b c", `failed to process "'b c": ${UNENDED} single-quote`],
  ['WORKDIR "/a', `failed to process "\\"/a": ${UNENDED} double-quote`],
  ['WORKDIR', 'WORKDIR requires exactly one argument'],
  ['WORKDIR ""', 'cannot normalize nothing'],
  ['WORKDIR $X', 'cannot normalize nothing'],
  ['VOLUME ""', 'VOLUME specified can not be an empty string'],
  ['VOLUME [" "]', 'VOLUME specified can not be an empty string'],
  ['VOLUME []', 'VOLUME requires at least one argument'],
  ['CMD [1]', 'when using JSON array syntax, arrays must be comprised of strings only'],
  ['ONBUILD CMD [1]', 'when using JSON array syntax, arrays must be comprised of strings only'],
  ['ENV A=1 B', 'Syntax error - can\'t find = in "B". Must be of the form: name=value'],
  ['ENV =1', 'ENV names can not be blank'],
  ['ENV --x A=1', 'unknown flag: --x'],
  ['EXPOSE x:80', 'Invalid hostPort: x'],
  ['EXPOSE /tcp', 'No port specified: /tcp<empty>'],
  ['EXPOSE 80:81-82', 'Invalid ranges specified for container and host Ports: 81-82 and 80'],
  ['EXPOSE 1.2.3:80:90', 'Invalid ip address: 1.2.3'],
  ['HEALTHCHECK --interval=1x CMD a', 'time: unknown unit "x" in duration "1x"'],
  ['HEALTHCHECK --intervl=1s CMD a', 'unknown flag: --intervl (did you mean interval?)'],
  ['HEALTHCHECK --retries=x CMD a', 'strconv.ParseInt: parsing "x": invalid syntax'],
  ['HEALTHCHECK --retries=9999999999 CMD a', 'strconv.ParseInt: parsing "9999999999": value out of range'],
  ['# escape=x\nENV A=1', "invalid escape token 'x' does not match ` or \\"],
  ['# escape=`\n# escape=`\nENV A=1', 'only one escape parser directive can be used'],
];

test('all changes are one text', () => {
  const env = ['PATH=/bin', 'OLD=1', 'A=1', 'B=2'];
  assert.deepEqual(applyChanges(BASE, ['# x', '', 'ENV A=1 \\', 'B=2']).env, env);
  assert.deepEqual(applyChanges(BASE, []), BASE);
  for (const changes of [[''], ['# comment'], ['', ' \n\n']])
    assert.throws(() => applyChanges(BASE, changes), { message: 'file with no instructions' });
  // What a line says is looked at before whether it may be there, and both before what comes of it.
  assert.throws(() => applyChanges(BASE, ['ENV A', 'NOPE']), { message: 'ENV must have two arguments' });
  assert.throws(() => applyChanges(BASE, ['USER "', 'ENV']), {
    message: 'ENV requires at least one argument',
  });
});

test('what is wrong is refused in the words of the reference', () => {
  for (const [change, message] of REFUSED) {
    assert.throws(
      () => applyChanges(BASE, [change]),
      (error) => isEngineError(error, 'invalidArgument') && error.message === message,
      change,
    );
  }
});

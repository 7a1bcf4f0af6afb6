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
  ['EXPOSE 80 53/udp 8000-8001', { exposedPorts: ['80/tcp', '53/udp', '8000/tcp', '8001/tcp'] }],
  ['LABEL b=2 a="x y"', { labels: { a: 'x y', b: '2' } }],
  ['ONBUILD RUN true', { onBuild: ['RUN true'] }],
  ['USER 1000:1000', { user: '1000:1000' }],
  ['VOLUME /a /b', { volumes: ['/a', '/b'] }],
  ['VOLUME ["/c"]', { volumes: ['/c'] }],
  ['WORKDIR sub/../other', { workingDir: '/srv/other' }],
  ['STOPSIGNAL SIGQUIT', { stopSignal: 'SIGQUIT' }],
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
];

test('what is wrong is refused in the words of the reference', () => {
  for (const [change, message] of REFUSED) {
    assert.throws(
      () => applyChanges(BASE, [change]),
      (error) => isEngineError(error, 'invalidArgument') && error.message === message,
      change,
    );
  }
});

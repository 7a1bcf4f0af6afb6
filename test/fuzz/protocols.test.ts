import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { isEngineError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import { BadFrame, encodeFrame as multiplexed, FrameDecoder as Demultiplexer } from '#api/multiplex.ts';
import { resolveUser } from '#runtime/user.ts';
import {
  attribute,
  attributes,
  decodeMessages,
  eachAttribute,
  encodeMessage,
  nested,
  text,
  textOf,
} from '../../src/host/linux/netlink-message.ts';
import {
  encodeFields,
  encodeFrame,
  FIELD,
  Fields,
  FRAME,
  FrameDecoder,
} from '../../src/runtime/shim/protocol.ts';
import { mutate } from './mutate.ts';
import { type Chance, fuzz } from './rounds.ts';

fuzz('multiplexed streams come back whole, in pieces of any size', { short: 500 }, (chance) => {
  const frames = Array.from({ length: chance.below(8) }, () => ({
    stream: chance.pick(['stdout', 'stderr'] as const),
    data: chance.bytes(chance.below(3000)),
  }));
  const decoder = new Demultiplexer();
  const seen = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
  for (const piece of chance.pieces(Buffer.concat(frames.map(multiplexed))))
    for (const frame of decoder.decode(piece)) seen[frame.stream].push(Buffer.from(frame.data));
  assert.ok(decoder.isAtBoundary);
  for (const name of ['stdout', 'stderr'] as const) {
    const sent = frames.filter((frame) => frame.stream === name).map((frame) => frame.data);
    assert.deepEqual(Buffer.concat(seen[name]), Buffer.concat(sent));
  }
});

fuzz('damaged multiplexed streams give frames or a refusal', { short: 1000 }, (chance) => {
  const whole = Buffer.concat(
    [1, 2, 3].map(() => multiplexed({ stream: 'stderr', data: chance.bytes(chance.below(200)) })),
  );
  const bytes = mutate(whole, chance);
  const decoder = new Demultiplexer();
  let total = 0;
  try {
    for (const piece of chance.pieces(bytes))
      for (const frame of decoder.decode(piece)) total += frame.data.length;
  } catch (error) {
    assert.ok(error instanceof BadFrame, String(error));
  }
  assert.ok(total <= bytes.length);
});

function shimFrames(chance: Chance): Buffer {
  const types = Object.values(FRAME);
  return Buffer.concat(
    Array.from({ length: 1 + chance.below(6) }, () => {
      const fields = encodeFields([
        [FIELD.pid, chance.below(1e6)],
        [FIELD.execId, 'a'.repeat(chance.below(70))],
        [FIELD.timeNs, BigInt(chance.below(2 ** 31)) << 20n],
        [FIELD.argv, ['sh', '-c', 'x'.repeat(chance.below(300))]],
      ]);
      return encodeFrame(chance.pick(types), chance.below(65536), fields);
    }),
  );
}

function readShim(pieces: readonly Buffer[]): string[] {
  const seen: string[] = [];
  const decoder = new FrameDecoder();
  const known = (error: unknown): void => {
    assert.ok(isEngineError(error, 'internal'), inspect(error));
    seen.push(String(error));
  };
  try {
    for (const piece of pieces)
      for (const frame of decoder.push(piece)) {
        assert.ok(frame.payload.length <= LIMITS.shimFrameBytes);
        seen.push(`${frame.type} ${frame.tag} ${frame.payload.toString('hex')}`);
        try {
          const fields = new Fields(frame.payload);
          for (const field of Object.values(FIELD)) {
            fields.text(field);
            if (field === FIELD.pid || field === FIELD.exitCode) fields.int(field);
          }
        } catch (error) {
          known(error);
        }
      }
  } catch (error) {
    known(error);
  }
  return seen;
}

fuzz('the shim protocol: the same frames however they are cut, or a refusal', { short: 800 }, (chance) => {
  const whole = shimFrames(chance);
  const bytes = chance.flip(0.3) ? whole : mutate(whole, chance);
  const cut = readShim(chance.pieces(bytes));
  const atOnce = readShim([bytes]);
  // A frame beyond the limit ends the connection; what came in the same piece before it is given up, too.
  const isRefused = atOnce.at(-1)?.includes('a frame of') === true;
  if (isRefused) assert.equal(cut.at(-1), atOnce.at(-1));
  else assert.deepEqual(cut, atOnce);
});

const PASSWD =
  'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n1000:x:7:8::/h:\n# c\nü:x:5:6::/ü:\n';
const GROUP = 'root:x:0:\nwheel:x:10:root,nobody\nnobody:x:65534:\n99:x:12:\n';

fuzz('passwd and group of an image give ids in range or a refusal', { short: 1500 }, (chance) => {
  const words = [
    '',
    'root',
    'nobody',
    '1000',
    '0',
    '-1',
    '+5',
    '4294967295',
    '99999999999999999999',
    '__proto__',
    'ü',
    'a:b',
  ];
  const user = `${chance.pick(words)}${chance.flip() ? `:${chance.pick(words)}` : ''}`;
  const passwd = chance.flip(0.1) ? null : mutate(Buffer.from(PASSWD), chance).toString('utf8');
  const group = chance.flip(0.1) ? null : mutate(Buffer.from(GROUP), chance).toString('utf8');
  try {
    const found = resolveUser({
      user,
      groupAdd: chance.flip(0.3) ? [chance.pick(words)] : [],
      passwd,
      group,
    });
    for (const id of [found.uid, found.gid, ...found.additionalGids])
      assert.ok(Number.isInteger(id) && id >= 0 && id < 2 ** 31, `${user}: ${id}`);
    assert.notEqual(found.home, '');
  } catch (error) {
    assert.ok(isEngineError(error, 'invalidArgument'), inspect(error));
  }
});

fuzz('a huge passwd is read up to its limit', { short: 1, share: 0 }, (chance) => {
  const started = performance.now();
  const passwd = 'x'.repeat(10 * LIMITS.passwdBytes + chance.below(10));
  resolveUser({ user: '5', groupAdd: [], passwd, group: ':::\n'.repeat(LIMITS.passwdBytes) });
  assert.ok(performance.now() - started < 3000);
});

fuzz('netlink messages end within what was received', { short: 1500 }, (chance) => {
  const payload = Buffer.concat([
    text(1, 'eth0'),
    attribute(2, chance.bytes(chance.below(40))),
    nested(3, text(1, 'inner'), attribute(9, chance.bytes(4))),
  ]);
  const message = encodeMessage({ type: 16, flags: 2, sequence: 7, payload });
  const bytes = mutate(Buffer.concat([message, message]), chance);
  let read = 0;
  for (const found of decodeMessages(bytes)) {
    read += found.payload.length;
    for (const [, value] of eachAttribute(found.payload)) {
      textOf(value);
      for (const [, inner] of attributes(value)) assert.ok(inner.length <= value.length);
    }
  }
  assert.ok(read <= bytes.length);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isEngineError } from '#base/errors.ts';
import { digest, tar } from '../storage/archive-builder.ts';
import { chunks } from '../storage/archive-builder.ts';
import { imageFixture } from './image-fixture.ts';

/** What is told about broken archives, word for word as the reference has it. */
const CANNOT = 'json: cannot unmarshal';
const KEY = "invalid character 'n' looking for beginning of object key string";
const NO_ROOTFS = 'invalid image JSON, no RootFS key';
const LAYER = tar([{ name: 'etc/' }]);
const CONFIG = {
  ...{ architecture: 'amd64', os: 'linux', created: '2024-05-06T07:08:09Z', config: { Cmd: ['sh'] } },
  rootfs: { type: 'layers', diff_ids: [digest(LAYER)] },
};

const list = (over: object): string =>
  JSON.stringify([{ Config: 'c.json', RepoTags: ['x:1'], Layers: ['l.tar'], ...over }]);
const config = (over: object): string => JSON.stringify({ ...CONFIG, ...over });

function archive(parts: { readonly list?: string; readonly config?: string }): Buffer {
  return tar([
    { name: 'l.tar', content: LAYER },
    { name: 'c.json', content: parts.config ?? config({}) },
    { name: 'manifest.json', content: parts.list ?? list({}) },
  ]);
}

type Case = readonly [document: string, text: string];

const LISTS: readonly Case[] = [
  ['{nope', KEY],
  ['', 'EOF'],
  [list({}).slice(0, -1), 'unexpected EOF'],
  ["['a']", "invalid character '\\'' looking for beginning of value"],
  ['[nul]', "invalid character ']' in literal null (expecting 'l')"],
  ['["a\nb"]', "invalid character '\\n' in string"],
  ['["a\\q"]', 'invalid escape sequence `\\q` in string'],
  ['[01]', "invalid character '1' after array element"],
  ['[{"a" 1}]', "invalid character '1' after object key"],
  ['null', 'invalid manifest, manifest cannot be null (but can be [])'],
  ['{}', `${CANNOT} object into Go value of type []tarexport.manifestItem`],
  ['"x"', `${CANNOT} string into Go value of type []tarexport.manifestItem`],
  ['true', `${CANNOT} bool into Go value of type []tarexport.manifestItem`],
  ['[5]', `${CANNOT} number into .0 of type tarexport.manifestItem`],
  [list({ Config: 5 }), `${CANNOT} number into Go struct field .0.Config of type string`],
  [list({ RepoTags: 'x' }), `${CANNOT} string into Go struct field .0.RepoTags of type []string`],
  [list({ Layers: [5] }), `${CANNOT} number into .0.Layers.0 of type string`],
  // The reference reads the folder that it unpacked into, and says that it is one.
  ['[{}]', 'invalid manifest: an image without a config'],
  [list({ RepoTags: ['BAD'] }), 'invalid reference format: repository name (library/BAD) must be lowercase'],
  [list({ RepoTags: ['x'] }), 'invalid tag "x"'],
  [list({ Config: 'nope.json' }), 'open nope.json: no such file or directory'],
  [list({ Layers: ['nope.tar'] }), 'open nope.tar: no such file or directory'],
];

const CONFIGS: readonly Case[] = [
  ['{nope', KEY],
  ['', 'unexpected end of JSON input'],
  [config({}).slice(0, -1), 'unexpected end of JSON input'],
  [`${config({})} x`, "invalid character 'x' after top-level value"],
  [`\ufeff${config({})}`, "invalid character '\\ufeff' looking for beginning of value"],
  ['null', NO_ROOTFS],
  ['{}', NO_ROOTFS],
  [config({ rootfs: null }), NO_ROOTFS],
  ['[]', `${CANNOT} array into Go value of type image.Image`],
  [config({ rootfs: 5 }), `${CANNOT} number into Go struct field Image.rootfs of type image.RootFS`],
  [
    config({ rootfs: { diff_ids: 5 } }),
    `${CANNOT} number into Go struct field Image.rootfs.diff_ids of type []layer.DiffID`,
  ],
  [config({ rootfs: { diff_ids: [] } }), 'invalid manifest, layers length mismatch: expected 1, got 0'],
  [config({ config: 5 }), `${CANNOT} number into Go struct field Image.config of type container.Config`],
  [config({ config: { Env: [5] } }), `${CANNOT} number into Image.config.Env.0 of type string`],
  [config({ config: { Entrypoint: 5 } }), `${CANNOT} number into Go value of type string`],
  [
    config({ config: { Healthcheck: 5 } }),
    `${CANNOT} number into Go struct field Image.config.Healthcheck of type v1.HealthcheckConfig`,
  ],
  [config({ history: [5] }), `${CANNOT} number into Image.history.0 of type v1.History`],
  [config({ os: 'windows' }), 'cannot load windows image on linux'],
];

test('broken lists and configs of archives are told about as the reference does', async (t) => {
  const fix = await imageFixture(t);
  const cases = [
    ...LISTS.map(([document, text]) => [archive({ list: document }), text] as const),
    ...CONFIGS.map(([document, text]) => [archive({ config: document }), text] as const),
  ];
  for (const [bytes, text] of cases)
    await assert.rejects(fix.load(bytes), (error) => {
      assert.ok(isEngineError(error, 'invalidArgument'), String(error));
      assert.equal(error.message, text);
      return true;
    });
  assert.deepEqual(await fix.images.list(), []);
  const words = archive({ list: `${list({})} and more`, config: config({ config: { Cmd: 'sh' } }) });
  assert.equal(await fix.load(words), 'Loaded image: x:1\n');
});

test('what is imported of nothing is an image without files, and is saved and loaded as one', async (t) => {
  const fix = await imageFixture(t);
  const id = await fix.images.importTar(chunks(Buffer.alloc(0)), { repo: 'empty:1' });
  const image = await fix.images.resolve('empty:1');
  assert.deepEqual([image.id, image.sizeBytes], [id, 0]);
  assert.deepEqual(image.config.diffIds, [digest(Buffer.alloc(0))]);
  const parts: Buffer[] = [];
  for await (const chunk of await fix.images.save(['empty:1'])) parts.push(chunk as Buffer);
  await fix.images.remove(id, { force: true });
  assert.equal(await fix.load(Buffer.concat(parts)), 'Loaded image: empty:1\n');
  assert.equal((await fix.images.resolve('empty:1')).id, id);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isEngineError } from './errors.ts';
import { checkJsonWeight } from './json-weight.ts';
import { LIMITS } from './limits.ts';

const check = (text: string): Promise<void> => checkJsonWeight(Buffer.from(text), 'document');
const SPACE = ' '.repeat(LIMITS.smallDocumentBytes);
const keys = (count: number, different = count): string =>
  `{${Array.from({ length: count }, (_, i) => `"${i % different}":0`).join(',')}}${SPACE}`;

test('members and elements are counted, up to the bound', async () => {
  await check(keys(LIMITS.documentValues - 1, 7));
  await assert.rejects(check(keys(LIMITS.documentValues, 7)), (error) => isEngineError(error, 'tooLarge'));
  const lists = `[${'[],'.repeat(LIMITS.documentValues)}0]`;
  await assert.rejects(check(lists + SPACE), (error) => isEngineError(error, 'tooLarge'));
});

test('different keys are counted on their own: they cost most', async () => {
  await check(keys(LIMITS.documentKeys));
  const tooMany = keys(LIMITS.documentKeys + 1);
  const bytes = Buffer.from(tooMany);
  for (const max of [LIMITS.documentValues, LIMITS.listValues, LIMITS.archiveListValues])
    await assert.rejects(checkJsonWeight(bytes, 'document', max), /8192 different keys/);
});

test('the longest lists that are taken pass: of manifests, and of images in an archive', async () => {
  const digest = `sha256:${'0'.repeat(64)}`;
  const platform = { architecture: 'arm64', os: 'linux', variant: 'v8' };
  const annotations = { 'vnd.docker.reference.digest': digest, 'vnd.docker.reference.type': 'x' };
  const descriptor = { mediaType: 'application/x', digest, size: 1, platform, annotations };
  const manifests = Array.from({ length: LIMITS.descriptorsPerManifest }, () => descriptor);
  const list = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: 'application/x', manifests }));
  await checkJsonWeight(list, 'index', LIMITS.listValues);
  const image = { Config: 'c', RepoTags: ['a:b'], Layers: Array.from({ length: 120 }, () => 'l') };
  const images = Array.from({ length: LIMITS.archiveImages }, () => image);
  await checkJsonWeight(Buffer.from(JSON.stringify(images)), 'manifest.json', LIMITS.archiveListValues);
  for (const max of [LIMITS.listValues, LIMITS.archiveListValues])
    await assert.rejects(checkJsonWeight(Buffer.from(keys(max, 7)), 'list', max), /JSON of more than/);
});

test('what is nested too deeply is refused', async () => {
  const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth) + SPACE;
  await check(nested(LIMITS.jsonDepth));
  await assert.rejects(check(nested(LIMITS.jsonDepth + 1)), (e) => isEngineError(e, 'invalidArgument'));
  await assert.rejects(check('['.repeat(LIMITS.imageConfigBytes)), (e) =>
    isEngineError(e, 'invalidArgument'),
  );
});

test('strings weigh little, whatever stands in them', async () => {
  const text = JSON.stringify({ a: '[{,"\\'.repeat(20_000), b: '\\', c: '"' }) + SPACE;
  await check(text);
  const escapes = `"${'\\"'.repeat(16 * LIMITS.documentValues)}"`;
  await assert.rejects(check(escapes), (error) => isEngineError(error, 'tooLarge'));
  await check(`"${SPACE}`);
});

test('a small document is parsed at once: it cannot be that bad', async () => {
  await check(`[${'0,'.repeat(LIMITS.documentValues + 1)}0]`.slice(0, LIMITS.smallDocumentBytes));
});

test('others have their turn while a large one is looked at', async () => {
  const long = `[0${',   0'.repeat(10_000)}${'            '.repeat(LIMITS.imageConfigBytes / 16)}]`;
  let turns = 0;
  const count = (): void => {
    turns++;
    immediate = setImmediate(count);
  };
  let immediate = setImmediate(count);
  await check(long);
  clearImmediate(immediate);
  assert.ok(turns >= 20, `${turns} turns`);
});

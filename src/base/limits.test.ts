import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { LIMITS } from './limits.ts';

interface Reached {
  /** The test that goes to the bound and beyond. */
  readonly by: string;
  /** What it sets to a smaller value, where the bound itself is too large for a test. */
  readonly smaller?: string;
}

const REACHED: Readonly<Record<keyof typeof LIMITS, Reached>> = {
  containerBodyBytes: { by: 'src/daemon/server/server.test.ts' },
  jsonBodyBytes: { by: 'src/daemon/server/server.test.ts' },
  jsonDepth: { by: 'src/base/json.test.ts' },
  headerBlockBytes: { by: 'test/fuzz/http.test.ts' },
  headerTimeoutMs: { by: 'test/fuzz/http.test.ts' },
  refusedBodyMs: { by: 'src/daemon/server/server.test.ts' },
  manifestBytes: { by: 'src/oci/documents.test.ts' },
  imageConfigBytes: { by: 'src/oci/documents.test.ts' },
  smallDocumentBytes: { by: 'src/base/json-weight.test.ts' },
  documentValues: { by: 'src/base/json-weight.test.ts' },
  listValues: { by: 'src/base/json-weight.test.ts' },
  archiveListValues: { by: 'src/base/json-weight.test.ts' },
  documentKeys: { by: 'src/base/json-weight.test.ts' },
  tarRecordBytes: { by: 'src/storage/layer/tar-parser.test.ts' },
  tarPathBytes: { by: 'src/storage/layer/tar-parser.test.ts' },
  tarDepth: { by: 'src/storage/layer/tar-parser.test.ts' },
  passwdBytes: { by: 'src/runtime/user.test.ts' },
  knownTrees: { by: 'src/container/start/image-trees.test.ts' },
  knownFileBytes: { by: 'src/container/start/image-trees.test.ts' },
  startDrafts: { by: 'src/container/start/drafts.test.ts' },
  logLineBytes: { by: 'src/container/logs/read-log.test.ts' },
  readerBufferBytes: { by: 'src/daemon/server/server.test.ts' },
  turnBytes: { by: 'src/base/turn-share.test.ts' },
  layersPerImage: { by: 'src/oci/documents.test.ts' },
  archiveMembers: { by: 'src/image/archive/archive-index.test.ts' },
  archiveDocumentBytes: { by: 'src/image/archive/archive-index.test.ts' },
  changeTextBytes: { by: 'src/image/change-budget.test.ts' },
  changeExpandedBytes: { by: 'src/image/change-budget.test.ts' },
  changePatternSteps: { by: 'src/image/change-budget.test.ts' },
  changeDepth: { by: 'src/image/change-budget.test.ts' },
  changePorts: { by: 'src/image/change-budget.test.ts' },
  archiveImages: { by: 'src/image/archive/offered-images.test.ts' },
  archiveLayersBehind: { by: 'src/image/archive/read-archive.test.ts' },
  plainArchiveBytes: { by: 'test/integration/storage/plain-archive.test.ts', smaller: 'maxBytes' },
  partialKeepMs: { by: 'src/storage/content/file-intakes.test.ts' },
  partialKeepBytes: { by: 'src/storage/content/file-intakes.test.ts' },
  unpackWindowBytes: { by: 'src/storage/layer/window-budget.test.ts' },
  smallWindowBytes: { by: 'src/storage/layer/window-budget.test.ts' },
  windowPatienceMs: { by: 'src/storage/layer/window-budget.test.ts', smaller: 'patienceMs' },
  xzDictionaryBytes: { by: 'src/storage/layer/xz-decoder.test.ts' },
  eventHistory: { by: 'src/daemon/events.test.ts' },
  recordBytes: { by: 'src/base/durable-record.test.ts' },
  shimFrameBytes: { by: 'src/runtime/shim/protocol.test.ts' },
  shimRequestBytes: { by: 'src/runtime/shim/protocol.test.ts' },
  taskStartMs: { by: 'test/integration/runtime/hard-start.test.ts', smaller: 'startLimitMs' },
  shimHelloMs: { by: 'test/integration/runtime/hard-start.test.ts' },
  foundStartMs: { by: 'test/integration/runtime/hard-start.test.ts' },
  taskFileBytes: { by: 'src/runtime/shim/files.test.ts' },
  seccompPrograms: { by: 'src/runtime/seccomp/cache.test.ts' },
  seccompRules: { by: 'src/runtime/seccomp/rules.test.ts' },
  deviceRules: { by: 'src/runtime/device-rules.test.ts' },
  ociSpecBytes: { by: 'test/integration/oci/bad-input.test.ts' },
  waitingExecs: { by: 'src/container/exec/table.test.ts' },
  slowCallThreads: { by: 'src/host/linux/sys.test.ts', smaller: 'threads' },
  slowCallDeadlineMs: { by: 'src/host/linux/sys.test.ts', smaller: 'deadlineMs' },
  registryConnectMs: { by: 'test/integration/registry/client.test.ts', smaller: 'connectMs' },
  registryFirstByteMs: { by: 'test/integration/registry/client.test.ts', smaller: 'firstByteMs' },
  registryIdleMs: { by: 'test/integration/registry/client.test.ts', smaller: 'idleMs' },
  registryDocumentMs: { by: 'test/integration/registry/client.test.ts', smaller: 'documentMs' },
  registryTries: { by: 'test/integration/registry/client.test.ts' },
  retryAfterMs: { by: 'src/registry/client/retry.test.ts' },
  registryBackoffMs: { by: 'src/registry/client/retry.test.ts' },
  registryAuthorizations: { by: 'test/integration/registry/authorization.test.ts' },
  registryHeaderBytes: { by: 'src/registry/auth/challenge.test.ts' },
  registryLookupMs: { by: 'test/e2e/registry/silent-names.test.ts' },
  mirrorSilenceMs: { by: 'test/integration/registry/client.test.ts', smaller: 'silenceMs' },
  registryRedirects: { by: 'test/integration/registry/blobs.test.ts' },
  tokenBytes: { by: 'test/integration/registry/authorization.test.ts' },
  errorBodyBytes: { by: 'test/integration/registry/client.test.ts' },
  registryTokens: { by: 'src/registry/auth/token-cache.test.ts' },
  indexDepth: { by: 'src/image/archive/offered-images.test.ts' },
  blobRepositories: { by: 'src/image/store/blob-notes.test.ts' },
  mountTries: { by: 'src/image/push/push-plan.test.ts' },
  tagPages: { by: 'test/integration/registry/lists.test.ts' },
  tagPageBytes: { by: 'test/integration/registry/lists.test.ts' },
  searchBytes: { by: 'test/integration/registry/lists.test.ts' },
  uploadChunkBytes: { by: 'test/integration/registry/uploads.test.ts', smaller: 'chunkBytes' },
  registryConnections: { by: 'test/integration/registry/serve.test.ts', smaller: 'maxConnections' },
  registryServerIdleMs: { by: 'test/integration/registry/serve.test.ts', smaller: 'idleMs' },
  registryTargetBytes: { by: 'src/registry/server/server.test.ts' },
  registryUploads: { by: 'src/registry/server/server.test.ts' },
  registryUploadKeepMs: { by: 'src/registry/server/server.test.ts' },
  registryBlobBytes: { by: 'src/main/registry/file-blobs.test.ts', smaller: 'maxBytes' },
  registryHeaderBlockBytes: { by: 'test/integration/registry/serve.test.ts' },
  registryKeepAliveMs: { by: 'test/integration/registry/serve.test.ts' },
  registryBlobGraceMs: { by: 'src/registry/server/server.test.ts' },
  registryCacheBytes: { by: 'src/registry/server/cache-keeper.test.ts', smaller: 'maxBytes' },
  registryCacheGraceMs: { by: 'src/registry/server/cache-keeper.test.ts' },
  registryCacheRetryMs: { by: 'src/registry/server/cache-keeper.test.ts' },
  registryTagFreshMs: { by: 'src/registry/server/pull-through.test.ts' },
  registryFreshTags: { by: 'src/registry/server/pull-through.test.ts' },
  registryCachePatienceMs: { by: 'src/registry/server/pull-through.test.ts', smaller: 'patienceMs' },
  proxyAuthBytes: { by: 'src/main/registry/proxy-auth.test.ts' },
  repositoryNameBytes: { by: 'src/registry/server/pure.test.ts' },
  descriptorsPerManifest: { by: 'src/registry/server/pure.test.ts' },
  mediaTypeBytes: { by: 'src/registry/server/pure.test.ts' },
  tagsPerPush: { by: 'src/registry/server/server.test.ts' },
  manifestPushes: { by: 'src/registry/server/server.test.ts' },
  listPage: { by: 'src/registry/server/pure.test.ts' },
  referrersPage: { by: 'src/registry/server/server.test.ts' },
  referrersPages: { by: 'test/integration/registry/lists.test.ts' },
  searchPage: { by: 'src/registry/server/server.test.ts' },
  journalLineBytes: { by: 'src/registry/server/journal.test.ts' },
  htpasswdBytes: { by: 'src/registry/htpasswd.test.ts' },
  passwordChecks: { by: 'src/registry/htpasswd.test.ts' },
  passwordVerdicts: { by: 'src/registry/htpasswd.test.ts', smaller: 'verdicts' },
  passwordVerdictMs: { by: 'src/registry/htpasswd.test.ts' },
  bcryptCost: { by: 'src/registry/htpasswd.test.ts' },
};

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

for (const [limit, { by, smaller }] of Object.entries(REACHED)) {
  test(`${limit} is reached by ${by}`, () => {
    assert.ok(existsSync(ROOT + by), 'there is no such test');
    const word = smaller ?? `LIMITS.${limit}`;
    assert.ok(readFileSync(ROOT + by, 'utf8').includes(word), `it does not name ${word}`);
  });
}

test('the table is about all of them, and nothing else', () => {
  assert.deepEqual(Object.keys(REACHED), Object.keys(LIMITS));
});

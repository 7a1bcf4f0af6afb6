/**
 * Every bound of the engine, with its unit in the name; those of the shim stand in `native/shim/limits.h`.
 * `limits.test.ts` names the test that reaches each of them.
 */
const KIB = 1024;
const MIB = 1024 * KIB;

export const LIMITS = {
  /** Body of create, update and exec requests. */
  containerBodyBytes: 4 * MIB,
  /** Any other JSON body. */
  jsonBodyBytes: 16 * MIB,
  jsonDepth: 64,
  /** The docker CLI puts every registry credential into one header. */
  headerBlockBytes: MIB,
  headerTimeoutMs: 10_000,
  /** How long the rest of a refused request's body is taken, so that its sender gets to read the refusal. */
  refusedBodyMs: 500,
  manifestBytes: 4 * MIB,
  imageConfigBytes: 8 * MIB,
  /**
   * Documents that are larger are looked at before they are parsed. So many members and elements may be in a
   * config, in a manifest or a list (4096 descriptors with what is usual in them), in an archive's list of
   * images with their layers; and so many different keys in any of them, which cost most.
   */
  smallDocumentBytes: 64 * KIB,
  documentValues: 16_384,
  listValues: 65_536,
  archiveListValues: 131_072,
  documentKeys: 8192,
  tarRecordBytes: MIB,
  tarPathBytes: 4096,
  tarDepth: 512,
  passwdBytes: MIB,
  /** Images whose users and working directories are remembered, and the largest file of them. */
  knownTrees: 32,
  knownFileBytes: 16 * KIB,
  /** Containers that were made and whose start is prepared. */
  startDrafts: 24,
  /** One line of a log file: a record holds at most 16 KiB of text, which JSON may blow up sixfold. */
  logLineBytes: 256 * KIB,
  readerBufferBytes: MIB,
  /** What one turn of the event loop takes from the connections that bring images, all together. */
  turnBytes: 512 * KIB,
  layersPerImage: 512,
  /** Files in an archive of images, and those of them that are kept in memory. */
  archiveMembers: 65_536,
  archiveDocumentBytes: 32 * MIB,
  /**
   * Changes of one commit or import: their text, what variables and working directories become, characters
   * of values times those of their patterns, substitutions within others, and ports.
   */
  changeTextBytes: 64 * KIB,
  changeExpandedBytes: MIB,
  changePatternSteps: 16 * MIB,
  changeDepth: 100,
  changePorts: 196_608,
  /** Images that an archive names, those named twice counted twice. */
  archiveImages: 1024,
  /** Layers that have arrived and are not unpacked yet, before the source has to wait. */
  archiveLayersBehind: 8,
  /** An archive of images that is decompressed before it is read, or from bzip2; as a registry's blobs. */
  plainArchiveBytes: 64 * 1024 * MIB,
  /** Blobs that a lost download left: how long they are kept for the next try, and how much of them. */
  partialKeepMs: 24 * 60 * 60 * 1000,
  partialKeepBytes: 10 * 1024 * MIB,
  /**
   * What decoders of layers may look back at: the largest window (zstd: 128 MiB) and a small one. Small ones
   * take turns while a larger one is open or waited for, which waits for them only so long. Then it opens
   * beside all those that stay open because their sources have stalled: three threads have two jobs each, 128
   * and five times 8 MiB are 168 MiB at the very most.
   */
  unpackWindowBytes: 136 * MIB,
  smallWindowBytes: 8 * MIB,
  windowPatienceMs: 30_000,
  xzDictionaryBytes: 64 * MIB,
  eventHistory: 256,
  /** One durable record file. */
  recordBytes: 16 * MIB,
  /** Payload of a frame from or to a shim; requests that carry a launch plan may be larger. */
  shimFrameBytes: 64 * KIB,
  shimRequestBytes: 4 * MIB + 256 * KIB,
  /**
   * From a shim's birth until its container runs; until a shim says hello; and at boot for a start found
   * half-way.
   */
  taskStartMs: 120_000,
  shimHelloMs: 10_000,
  foundStartMs: 10_000,
  /** A file that a shim or an OCI runtime leaves in a task directory. */
  taskFileBytes: MIB,
  /** Compiled system call filters that are kept; nearly every container has one of a few. */
  seccompPrograms: 64,
  /** Names in the rules of one seccomp profile, and rules for devices of one container. */
  seccompRules: 16_384,
  deviceRules: 4096,
  /**
   * config.json of a bundle that somebody else wrote, and the process and resource files of the OCI command
   * line.
   */
  ociSpecBytes: 16 * MIB,
  /** Execs of one container that were created and not started yet: each is remembered. */
  waitingExecs: 1024,
  /** System calls that may hang (trees of containers) run on so many threads at once … */
  slowCallThreads: 32,
  /** … and are given up after so long. */
  slowCallDeadlineMs: 30_000,
  /**
   * A registry: until a connection stands, until an answer begins, between two pieces of it, and for a whole
   * answer that is no blob.
   */
  registryConnectMs: 10_000,
  registryFirstByteMs: 30_000,
  registryIdleMs: 30_000,
  registryDocumentMs: 120_000,
  /** Attempts of a request that is no blob's, where repeating it may help. */
  registryTries: 3,
  /** The longest pause that a registry may ask for, and the longest that is made without such a wish. */
  retryAfterMs: 60_000,
  registryBackoffMs: 16_000,
  /** Times that one request is authorized anew. */
  registryAuthorizations: 2,
  /** `WWW-Authenticate` and `Link`: longer ones are not read. */
  registryHeaderBytes: 16 * KIB,
  /** A name that is looked up for the rules about insecure networks. */
  registryLookupMs: 5000,
  /** A mirror that has not answered after so long is not waited for alone. */
  mirrorSilenceMs: 2000,
  registryRedirects: 10,
  /** Answer of an authorization server, and of a registry that refuses something. */
  tokenBytes: 64 * KIB,
  errorBodyBytes: 64 * KIB,
  /** Authorizations that are remembered. */
  registryTokens: 1024,
  /** Lists of manifests within lists. */
  indexDepth: 3,
  /** Repositories that are noted for a blob, and those of them that are asked for it before it is sent. */
  blobRepositories: 8,
  mountTries: 2,
  tagPages: 10_000,
  tagPageBytes: 4 * MIB,
  searchBytes: 4 * MIB,
  /** One request of an upload where a registry wants it in pieces. */
  uploadChunkBytes: 64 * MIB,
  /** Of a registry server: connections, one of them that is silent, the target of a request. */
  registryConnections: 1024,
  registryServerIdleMs: 60_000,
  registryTargetBytes: 16 * KIB,
  /** Uploads in progress; one that nobody goes on with is kept so long. */
  registryUploads: 1024,
  registryUploadKeepMs: 24 * 3_600_000,
  registryBlobBytes: 64 * 1024 * MIB,
  registryHeaderBlockBytes: 64 * KIB,
  registryKeepAliveMs: 30_000,
  /** A blob that no manifest names stays so long after somebody asked about it. */
  registryBlobGraceMs: 3_600_000,
  /**
   * A registry that is a cache: what it may have on the disk, how long whatever somebody asked for stays in
   * any case, and after how long it looks again when that was too much.
   */
  registryCacheBytes: 50 * 1024 * MIB,
  registryCacheGraceMs: 600_000,
  registryCacheRetryMs: 10_000,
  /** A tag that was asked for so short a time ago is not asked for again, and so many are remembered. */
  registryTagFreshMs: 10_000,
  registryFreshTags: 10_000,
  /** How long a cache waits for the other registry when it has an answer itself. */
  registryCachePatienceMs: 5000,
  /** The file with a user and a password for it. */
  proxyAuthBytes: 4 * KIB,
  repositoryNameBytes: 255,
  /** Layers of a manifest, manifests of an index, as a registry takes them; tags of one push. */
  descriptorsPerManifest: 4096,
  mediaTypeBytes: 255,
  tagsPerPush: 64,
  /** Manifests that are being taken at once; others wait. Each may have `manifestBytes`. */
  manifestPushes: 64,
  /** Items of one page of a list, of referrers, of search results. */
  listPage: 1000,
  referrersPage: 100,
  /** Pages of referrers that are read of another registry, with `descriptorsPerManifest` of them at most. */
  referrersPages: 64,
  searchPage: 100,
  journalLineBytes: 16 * MIB,
  /** A password file; passwords that wait to be checked; rounds (a power of two) that one may cost. */
  htpasswdBytes: MIB,
  passwordChecks: 16,
  /** What was found out about passwords: how much of it is kept, and how long. */
  passwordVerdicts: 1024,
  passwordVerdictMs: 300_000,
  bcryptCost: 14,
} as const;

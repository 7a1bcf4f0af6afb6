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
  tarRecordBytes: MIB,
  tarPathBytes: 4096,
  tarDepth: 512,
  passwdBytes: MIB,
  /** Images whose users and working directories are remembered, and the largest file of them. */
  knownTrees: 32,
  knownFileBytes: 16 * KIB,
  /** One line of a log file: a record holds at most 16 KiB of text, which JSON may blow up sixfold. */
  logLineBytes: 256 * KIB,
  readerBufferBytes: MIB,
  layersPerImage: 512,
  /** Files in an archive of images, and those of them that are kept in memory. */
  archiveMembers: 65_536,
  archiveDocumentBytes: 32 * MIB,
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
} as const;

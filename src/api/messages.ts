/*
 * Texts that clients match, print or turn into exit codes, in one place. They are the reference's, letter by
 * letter, and tests compare them with recorded answers. Everything else may word its errors freely.
 */

// Versions, requests, queries

export const tooOld = (version: string, minimum: string): string =>
  `client version ${version} is too old. Minimum supported API version is ${minimum}, please upgrade your client to a newer version`;
export const tooNew = (version: string, maximum: string): string =>
  `client version ${version} is too new. Maximum supported API version is ${maximum}`;
export const pageNotFound = (): string => 'page not found';
export const bodyMissing = (): string => 'invalid JSON: got EOF while reading request body';
export const bodyTrailing = (): string => 'unexpected content after JSON';
export const bodyWrongType = (found: string, field: string, wanted: string): string =>
  `invalid JSON: json: cannot unmarshal ${found} into Go struct field .${field} of type ${wanted}`;
export const noContentType = (value: string): string =>
  `malformed Content-Type header (${value}): mime: no media type`;
export const badContentType = (value: string): string =>
  `unsupported Content-Type header (${value}): must be 'application/json'`;
export const invalidFilterSyntax = (): string => 'invalid filter';
export const invalidFilterName = (name: string): string => `invalid filter '${name}'`;
export const invalidFilterValue = (name: string, values: readonly string[]): string =>
  `invalid filter '${name}=[${values.join(' ')}]'`;
/** `fn` is the parser that the reference used: `Atoi`, `ParseInt`, `ParseUint`, `ParseBool`. */
export const badInteger = (fn: string, text: string): string =>
  `strconv.${fn}: parsing ${quote(text)}: invalid syntax`;
export const integerRange = (fn: string, text: string): string =>
  `strconv.${fn}: parsing ${quote(text)}: value out of range`;
export const invalidFilterReason = (
  name: string,
  of: { readonly value: string; readonly why: string },
): string => `invalid filter '${name}=${of.value}': ${of.why}`;
export const badResize = (side: 'height' | 'width', text: string): string =>
  `invalid resize ${side} ${quote(text)}: invalid syntax`;
export const notSwarmNode = (): string =>
  'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.';
export const notInSwarm = (): string => 'This node is not part of a swarm';
export const notExperimental = (): string =>
  'This experimental feature is disabled by default. Start the Docker daemon in experimental mode in order to enable it.';
export const sinceAfterUntil = (since: string, until: string): string =>
  `\`since\` time (${since}) cannot be after \`until\` time (${until})`;
export const unknownObjectType = (type: string): string => `unknown object type: ${type}`;

/** Go's `%q` for the texts that end up in messages. */
export function quote(text: string): string {
  return JSON.stringify(text);
}

// Containers

export const noSuchContainer = (reference: string): string => `No such container: ${reference}`;
export const ambiguousPrefix = (reference: string): string =>
  `multiple IDs found with provided prefix: ${reference}`;
export const configEmpty = (): string => 'config cannot be empty in order to create a container';
export const noCommand = (): string => 'no command specified';
export const nameConflict = (name: string, holder: string): string =>
  `Conflict. The container name "/${name}" is already in use by container "${holder}". ` +
  'You have to remove (or rename) that container to be able to reuse that name.';
export const renameFailed = (reason: string): string => `Error when allocating new name: ${reason}`;
export const renameNoName = (): string => 'Neither old nor new names may be empty';
export const renameSameName = (): string => 'Renaming a container with the same name as its current name';
export const invalidContainerName = (name: string): string =>
  `Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`;
export const containerNotRunning = (id: string): string => `container ${id} is not running`;
export const containerAlreadyPaused = (id: string): string => `Container ${id} is already paused`;
export const containerNotPaused = (id: string): string => `Container ${id} is not paused`;
export const containerPausedExec = (name: string): string =>
  `Container ${name} is paused, unpause the container before exec`;
export const containerRestarting = (id: string): string =>
  `Container ${id} is restarting, wait until the container is running`;
export const startPaused = (): string => 'cannot start a paused container, try unpause instead';
export const startMarkedForRemoval = (): string => 'container is marked for removal and cannot be started';
export const cannotKill = (reference: string, reason: string): string =>
  `cannot kill container: ${reference}: ${reason}`;
export const invalidSignal = (signal: string): string => `invalid signal: ${signal}`;
export const removeRunning = (reference: string): string =>
  `cannot remove container "${reference}": container is running: stop the container before removing or force remove`;
export const removePaused = (reference: string): string =>
  `cannot remove container "${reference}": container is paused and must be unpaused first`;
export const removeRestarting = (reference: string): string =>
  `cannot remove container "${reference}": container is restarting: stop the container before removing or force remove`;
export const removalInProgress = (id: string): string => `removal of container ${id} is already in progress`;
export const invalidCondition = (condition: string): string => `invalid condition: ${quote(condition)}`;
export const noLogStreams = (): string => 'Bad parameters: you must choose at least one stream';
export const logsUnsupported = (): string => 'configured logging driver does not support reading';
export const invalidDetachKeys = (keys: string): string => `Invalid detach keys (${keys}) provided`;
export const invalidEscapeKeys = (keys: string): string => `Invalid escape keys (${keys}) provided`;
export const badTime = (value: string): string =>
  `failed to parse value as time or duration: ${JSON.stringify(value)}`;
export const invalidStatusFilter = (value: string): string =>
  `invalid filter 'status=${value}': invalid value for state (${value}): must be one of ` +
  'created, running, paused, restarting, removing, exited, dead';
export const memoryTooSmall = (): string => 'Minimum memory limit allowed is 6MB';
export const swapWithoutMemory = (): string =>
  'You should always set the Memory limit when using Memoryswap limit, see usage';
export const swapBelowMemory = (): string =>
  'Minimum memoryswap limit should be larger than memory limit, see usage';
export const memoryBelowReservation = (): string =>
  'Minimum memory limit can not be less than memory reservation limit, see usage';
export const cpusAndQuota = (): string => 'Conflicting options: Nano CPUs and CPU Quota cannot both be set';
export const cpusetUnavailable = (
  what: 'CPUs' | 'memory nodes',
  requested: string,
  available: string,
): string => `Requested ${what} are not available - requested ${requested}, available: ${available}`;
export const cpusetInvalid = (what: 'cpus' | 'mems', value: string): string =>
  `Invalid value ${value} for cpuset ${what}: invalid format: ${value}`;
export const cpuPeriodRange = (): string =>
  'CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)';
export const blkioWeightDiscarded = (): string =>
  'Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.';
export const unknownCapability = (list: 'CapAdd' | 'CapDrop', name: string): string =>
  `invalid ${list}: unknown capability: ${quote(name)}`;
export const invalidSecurityOption = (option: string): string => `invalid --security-opt 2: ${quote(option)}`;
export const relativeWorkingDirectory = (path: string): string =>
  `the working directory '${path}' is invalid, it needs to be an absolute path`;
export const unknownRestartPolicy = (name: string): string =>
  `invalid restart policy: unknown policy '${name}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'`;
export const restartRetryCount = (): string =>
  "invalid restart policy: maximum retry count can only be used with 'on-failure'";
export const unknownRuntime = (name: string): string => `unknown or invalid runtime name: ${name}`;
export const unknownLogDriver = (name: string): string =>
  `error looking up logging plugin ${name}: plugin "${name}" not found`;
export const unknownLogOption = (option: string, driver: string): string =>
  `unknown log opt '${option}' for ${driver} log driver`;
export const hostnameWithNetworkMode = (): string => 'conflicting options: hostname and the network mode';
export const hostnameWithUtsMode = (): string => 'conflicting options: hostname and the UTS mode';
export const privilegedInUserNamespace = (): string =>
  'privileged mode is incompatible with user namespaces.  You must run the container in the host namespace when running privileged mode';
export const hostNetworkInUserNamespace = (): string =>
  "cannot share the host's network namespace when user namespaces are enabled";
export const hostPidInUserNamespace = (): string =>
  'cannot share the host PID namespace when user namespaces are enabled';
export const invalidIpcMode = (mode: string): string => `invalid IPC mode: ${mode}`;
export const workingDirectoryNotDirectory = (path: string): string =>
  `Cannot mkdir: ${path} is not a directory`;

// Start and exec: the docker CLI turns "executable file not found" into 127 and "permission denied" into 126

export const createTaskFailed = (reason: string): string => `failed to create task for container: ${reason}`;
export const networkSetupFailed = (reason: string): string =>
  `failed to set up container networking: ${reason}`;
export const noExecCommand = (): string => 'No exec command specified';
export const noSuchExec = (id: string): string => `No such exec instance: ${id}`;
export const tooManyExecs = (count: number): string =>
  `the container has ${count} execs that were created and never started: start some of them first`;
export const execAlreadyRun = (id: string): string => `exec command ${id} has already run`;
export const execAlreadyRunning = (id: string): string => `exec command ${id} is already running`;
export const execNoProcess = (id: string): string => `NotFound: process does not exist ${id}: not found`;

/** `action` is commit or export. */
export const deadContainer = (id: string, action: string): string =>
  `You cannot ${action} container ${id} which is Dead`;
export const containerBeingRemoved = (id: string, action: string): string =>
  `You cannot ${action} container ${id} which is being removed`;

export const cannotUpdate = (id: string, reason: string): string =>
  `Cannot update container ${id}: ${reason}`;
export const memoryAboveOldSwap = (): string =>
  'Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time';

// Images

export const noSuchImage = (reference: string): string => `No such image: ${reference}`;
export const unsupportedChange = (instruction: string): string =>
  `${instruction} is not a valid change command`;
export const scratchReserved = (): string => "'scratch' is a reserved name";
export const noSuchReference = (): string => 'reference does not exist';
export const noExportTarget = (platform: string): string =>
  `no suitable export target found for platform ${platform}`;
export const multiplePlatforms = (): string => 'multiple platform parameters not supported';
export const platformMismatch = (options: {
  readonly name: string;
  readonly actual: string;
  readonly wanted: string;
}): string =>
  `image with reference ${options.name} was found but its platform (${options.actual}) ` +
  `does not match the specified platform (${options.wanted})`;
export const foreignPlatform = (platforms: { readonly image: string; readonly host: string }): string =>
  `The requested image's platform (${platforms.image}) does not match the detected host platform ` +
  `(${platforms.host}) and no specific platform was requested`;
export const manifestNotFound = (reference: string): string => `manifest for ${reference} not found`;
export const repositoryNotFound = (name: string): string => `repository ${name} not found`;
export const pullAccessDenied = (name: string): string =>
  `pull access denied for ${name}, repository does not exist or may require 'docker login'`;
export const noMatchingManifest = (platform: string): string =>
  `no matching manifest for ${platform} in the manifest list entries`;
export const unsupportedMediaType = (mediaType: string): string => `unsupported media type ${mediaType}`;
export const remotePlugin = (mediaType: string): string =>
  `Encountered remote "${mediaType}"(plugin) when fetching`;
export const manifestWithoutType = (): string => 'missing or empty Content-Type header';
export const expectedIndex = (): string => 'index: expected index but found manifest';
export const expectedManifest = (): string => 'ocimanifest: expected manifest but found index';
/** The media types of the two formats differ in whether a document must name its own. */
export const otherMediaType = (wanted: string, stated: string): string => {
  const isOci = wanted.startsWith('application/vnd.oci.');
  const kind = !/\.(?:list|index)\./.test(wanted) ? 'manifest' : isOci ? 'image index' : 'manifest list';
  return `${isOci ? 'if present, ' : ''}mediaType in ${kind} should be '${wanted}' not '${stated}'`;
};
export const configVerificationFailed = (digest: string): string =>
  `image config verification failed for digest ${digest}`;
export const layersMismatch = (): string => "layers from manifest don't match image configuration";
export const noRootfsInPulled = (): string => 'invalid rootfs in image configuration';
export const noRootfsInLoaded = (): string => 'invalid image JSON, no RootFS key';
export const foreignSystem = (os: string): string =>
  `image operating system "${os}" cannot be used on this platform: operating system is not supported`;
export const registerLayerFailed = (why: string): string => `failed to register layer: ${why}`;
export const searchLimitRange = (limit: number): string => `limit ${limit} is outside the range of [1, 100]`;
export const searchLimitSyntax = (text: string): string =>
  `invalid limit specified: strconv.Atoi: parsing "${text}": invalid syntax`;
export const notLocal = (name: string): string => `An image does not exist locally with the tag: ${name}`;
export const tagMissing = (reference: string): string => `tag does not exist: ${reference}`;
export const noTagsToPush = (name: string): string => `no tags to push for ${name}`;
export const digestNotPushable = (): string => 'cannot push a digest reference';
export const badScheme = (url: string, scheme: string): string =>
  `Get ${quote(url)}: unsupported protocol scheme ${quote(scheme)}`;
export const noImportSource = (): string => 'Get "http:": http: no Host in request URL';
export const noClusterVolumes = (): string =>
  'volume update only valid for cluster volumes, but swarm is unavailable';

// Networks and volumes

export const predefinedNetwork = (name: string): string =>
  `${name} is a pre-defined network and cannot be removed`;
export const predefinedNetworkTaken = (name: string): string =>
  `operation is not permitted on predefined ${name} network `;
export const connectHostNetwork = (): string =>
  'cannot connect container to host network - container must be created in host network mode';
export const notConnected = (id: string, network: string): string =>
  `container ${id} is not connected to network ${network}`;
export const addressOnDefaultNetwork = (network: string): string =>
  `invalid config for network ${network}: invalid endpoint settings:\n` +
  '* user specified IP address is supported on user defined networks only\n' +
  '* user specified IP address is supported only when connecting to networks with user configured subnets';
export const noSuchPlugin = (name: string): string => `plugin "${name}" not found`;

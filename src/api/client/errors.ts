/** Anything that goes wrong on the client's side of the connection. */
export class ClientError extends Error {}

/** No connection: nobody listens, no permission, no such host. */
export class ConnectionError extends ClientError {
  readonly code: string;

  constructor(host: string, cause: NodeJS.ErrnoException) {
    super(connectionText(host, cause), { cause });
    this.code = cause.code ?? '';
  }
}

function connectionText(host: string, cause: NodeJS.ErrnoException): string {
  if (cause.code === 'EACCES') {
    const path = host.replace(/^unix:\/\//, '');
    return `permission denied while trying to connect to the Docker daemon socket at ${host}: dial unix ${path}: connect: permission denied`;
  }
  if (cause.code === 'ENOENT' || cause.code === 'ECONNREFUSED') {
    return `Cannot connect to the Docker daemon at ${host}. Is the docker daemon running?`;
  }
  return `error during connect: ${host}: ${cause.message}`;
}

/** The daemon answered with an error. `message` is its text. */
export class ApiError extends ClientError {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

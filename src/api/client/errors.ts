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

/** What a daemon says of an error; `hint` says what to do, and only this engine's has it. */
export interface ErrorAnswer {
  readonly message: string;
  readonly hint?: string;
}

/** The daemon answered with an error. `message` is its text. */
export class ApiError extends ClientError {
  readonly status: number;
  readonly hint: string | undefined;

  constructor(status: number, { message, hint }: ErrorAnswer) {
    super(message);
    this.status = status;
    this.hint = hint;
  }
}

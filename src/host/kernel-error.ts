/**
 * A system call that failed. `code` is the errno name, so that `errorCode()` of the base room reads it as it
 * reads node's own errors; the message has node's form (`EADDRINUSE: address already in use, bind
 * '0.0.0.0:80'`).
 */
export class KernelError extends Error {
  readonly code: string;
  readonly errno: number;
  /** The operation: a system call's name, or a netlink message's. */
  readonly syscall: string;
  /** What the kernel calls this errno (`address already in use`), as clients of the engine see it. */
  readonly reason: string;
  readonly path: string | undefined;

  constructor(failure: {
    code: string;
    errno: number;
    syscall: string;
    reason: string;
    path?: string | undefined;
  }) {
    const object = failure.path === undefined ? '' : ` '${failure.path}'`;
    super(`${failure.code}: ${failure.reason}, ${failure.syscall}${object}`);
    this.name = 'KernelError';
    this.code = failure.code;
    this.errno = failure.errno;
    this.syscall = failure.syscall;
    this.reason = failure.reason;
    this.path = failure.path;
  }
}

export function isKernelError(error: unknown, ...codes: readonly string[]): error is KernelError {
  return error instanceof KernelError && (codes.length === 0 || codes.includes(error.code));
}

import type { RootfsHandle } from './snapshotter.ts';

/** Of a tree that is being opened; `close` gives its descriptor back. */
export function rootfsHandle(
  opened: Promise<number>,
  of: { readonly isUntouched: boolean; readonly close: (fd: number) => Promise<void> },
): RootfsHandle {
  let fd: number | null = null;
  let closing: Promise<void> | null = null;
  opened.then(
    (found) => (fd = found),
    () => undefined,
  );
  const close = async (): Promise<void> => {
    if (fd !== null) return of.close(fd);
    opened.then(of.close).catch(() => undefined);
  };
  return { fd: opened, isUntouched: of.isUntouched, close: () => (closing ??= close()) };
}

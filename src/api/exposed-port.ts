/** `80/tcp` → its parts; a missing protocol is tcp. Null when it is no port. */
export function parsePort(text: string): { readonly port: number; readonly protocol: string } | null {
  const match = /^(\d{1,5})(?:\/([a-z]+))?$/i.exec(text);
  if (match === null) return null;
  const port = Number(match[1]);
  return port > 65535 ? null : { port, protocol: (match[2] ?? 'tcp').toLowerCase() };
}

/** As keys of `ExposedPorts` and `PortBindings` are written. */
export function formatPort(port: number, protocol: string): string {
  return `${port}/${protocol}`;
}

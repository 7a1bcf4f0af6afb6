import { randomBytes } from 'node:crypto';

declare const brand: unique symbol;
/** A string that only its constructor functions produce. */
export type Branded<Name extends string> = string & { readonly [brand]: Name };

/** 64 lower-case hexadecimal digits. */
export type ContainerId = Branded<'ContainerId'>;
export type ExecId = Branded<'ExecId'>;

const HEX_64 = /^[0-9a-f]{64}$/;

/**
 * 64 random hexadecimal digits whose first twelve are not all decimal, so that a short id is never taken for
 * a number.
 */
export function randomId(): string {
  for (;;) {
    const id = randomBytes(32).toString('hex');
    if (!/^[0-9]{12}/.test(id)) return id;
  }
}

export const newContainerId = (): ContainerId => randomId() as ContainerId;
export const newExecId = (): ExecId => randomId() as ExecId;

export function isFullId(text: string): boolean {
  return HEX_64.test(text);
}

/** The first twelve digits, as tables show them. */
export function shortId(id: string): string {
  return id.slice(0, 12);
}

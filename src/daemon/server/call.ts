import type { IncomingMessage } from 'node:http';
import { LIMITS } from '#base/limits.ts';
import type { JsonObject } from '#base/json.ts';
import { isAtLeast } from '#api/version.ts';
import type { Reply } from './reply.ts';
import type { HijackedConnection } from './hijack.ts';
import { readJson } from './body.ts';

/** One request, as routes see it. */
export interface Call {
  readonly request: IncomingMessage;
  readonly query: URLSearchParams;
  /** What the path's placeholders stand for, decoded. */
  param(name: string): string;
  /** Of the client, `1.51`. */
  readonly apiVersion: string;
  readonly reply: Reply;
  /** Aborted when the connection is gone. */
  readonly signal: AbortSignal;
  /** Takes the connection over; nothing must have been replied. */
  hijack(): HijackedConnection;
}

export type Handler = (call: Call) => Promise<void>;

/** Method, pattern (`{name}` one segment, `{name...}` at least one), handler. */
export type Route = readonly [method: string, pattern: string, handler: Handler];

export function atLeast(call: Call, version: string): boolean {
  return isAtLeast(call.apiVersion, version);
}

/** Body of create and exec requests. */
export function containerBody(call: Call): Promise<JsonObject | null> {
  return readJson(call.request, LIMITS.containerBodyBytes);
}

export function jsonBody(call: Call): Promise<JsonObject | null> {
  return readJson(call.request, LIMITS.jsonBodyBytes);
}

/* Written by tools/gen-api.ts from the description of Engine API 1.51; not edited by hand. */

export interface IDResponse {
  readonly Id: string;
}

export interface ProcessConfig {
  readonly privileged?: boolean;
  readonly user?: string;
  readonly tty?: boolean;
  readonly entrypoint?: string;
  readonly arguments?: readonly string[] | null;
}

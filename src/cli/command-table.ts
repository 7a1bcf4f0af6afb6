/**
 * One flag as the reference's command line defines it. `type` is the value's type, `shown` what help prints
 * for it.
 */
export interface FlagDefinition {
  readonly long: string;
  readonly short?: string;
  readonly type: string;
  readonly shown?: string;
  readonly default?: string;
  readonly hidden?: boolean;
  readonly deprecated?: boolean;
  /** What it does, in our words. */
  readonly words?: string;
}

export interface CommandDefinition {
  /** Words after `gantry`, blank for the program itself. */
  readonly name: string;
  readonly aliases: readonly string[];
  readonly usage: string;
  readonly arguments: { readonly minimum: number; readonly maximum: number | null };
  /** False where the first argument ends the flags: what follows belongs to the container's command. */
  readonly interspersed: boolean;
  readonly flags: readonly FlagDefinition[];
  /** The verb shows its help itself. */
  readonly hasOwnHelp?: boolean;
}

export type CommandTable = readonly CommandDefinition[];

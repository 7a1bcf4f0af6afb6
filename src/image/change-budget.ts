import { EngineError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';

/*
 * What the changes of one request may become and cost: a few lines can double a value until memory ends, or
 * name all ports thousands of times. Everybody waits while they are applied.
 */

function tooMuch(what: string, most: number): EngineError {
  return new EngineError('invalidArgument', `changes ${what} (more than ${most})`);
}

export class ChangeBudget {
  #expandedBytes = 0;
  #patternSteps = 0;
  #ports = 0;

  /** Asked before the bytes are put anywhere. Errors, here and below: `invalidArgument`. */
  addExpanded(bytes: number): void {
    this.#expandedBytes += bytes;
    const most = LIMITS.changeExpandedBytes;
    if (this.#expandedBytes > most) throw tooMuch('expand to too many bytes', most);
  }

  addPatternSteps(steps: number): void {
    this.#patternSteps += steps;
    const most = LIMITS.changePatternSteps;
    if (this.#patternSteps > most) throw tooMuch('match values and patterns that are too long', most);
  }

  addPorts(count: number): void {
    this.#ports += count;
    if (this.#ports > LIMITS.changePorts) throw tooMuch('expose too many ports', LIMITS.changePorts);
  }
}

/** Errors: `invalidArgument`. */
export function checkChangeText(text: string): void {
  const most = LIMITS.changeTextBytes;
  if (Buffer.byteLength(text) > most) throw tooMuch('are too many bytes in all', most);
}

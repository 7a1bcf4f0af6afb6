import { OPTIONS } from './config/options.ts';
import { ENGINE_VERSION, GANTRY_VERSION } from './product.ts';

function help(): string {
  const lines = OPTIONS.filter(({ flag }) => flag !== '')
    .toSorted((a, b) => (a.flag < b.flag ? -1 : 1))
    .map(({ flag, short, type, effect }) => {
      const name = `${short === '' ? '   ' : `-${short},`} --${flag}${type === 'bool' ? '' : ` ${type}`}`;
      return `  ${name}${effect ? '' : '  (accepted, without effect)'}`;
    });
  return (
    `Usage:  gantryd [OPTIONS]\n\nA container engine that speaks the Docker Engine API.\n\nOptions:\n${lines.join('\n')}\n` +
    '       --validate  checks the configuration and exits\n   -v, --version\n       --help\n'
  );
}

/** Texts of the flags that answer and end. */
export const ACTION_TEXTS: Readonly<Record<string, () => string>> = {
  help,
  version: () => `gantry version ${GANTRY_VERSION} (engine ${ENGINE_VERSION})\n`,
};

import type { MountEntry } from '../kernel.ts';

/** The kernel writes blanks, tabs, newlines and backslashes of paths in octal. */
function unescape(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_all, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

/**
 * /proc/PID/mountinfo, proc(5): fixed fields, optional fields, ` - `, type, source, options of the super
 * block.
 */
export function parseMountTable(text: string): readonly MountEntry[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [fixed = '', tail = ''] = line.split(' - ', 2);
      const [id = '', , , root = '', mountPoint = '', options = ''] = fixed.split(' ');
      const [type = '', source = '', superOptions = ''] = tail.split(' ');
      return {
        id: Number(id),
        root: unescape(root),
        mountPoint: unescape(mountPoint),
        options,
        type,
        source: unescape(source),
        superOptions,
      };
    });
}

import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { build, type Plugin } from 'esbuild';
import { DIST, ROOT } from '../paths.ts';
import { filesBelow, type Target, writeWhole } from './target.ts';

const SOURCE = join(ROOT, 'src');
const EXECUTABLES = {
  gantryd: 'daemon/main.ts',
  gantry: 'cli/main.ts',
  'gantry-oci': 'main/oci.ts',
  'gantry-registry': 'main/registry.ts',
} as const;
const WORKER_URL = /new URL\(\s*'([^']+-worker\.ts)',\s*import\.meta\.url,?\s*\)/g;

/** `src/storage/layer/apply-worker.ts` → `storage-layer-apply-worker.cjs`: bundles lie side by side. */
function workerBundleName(path: string): string {
  return `${relative(SOURCE, path).replaceAll('/', '-').replace(/\.ts$/, '')}.cjs`;
}

/**
 * Points `new URL('./x-worker.ts', import.meta.url)` at the worker's own bundle, and refuses one that does
 * not exist.
 */
const workerUrls: Plugin = {
  name: 'worker-urls',
  setup(build) {
    build.onLoad({ filter: /\/src\/.*\.ts$/ }, ({ path }) => {
      const text = readFileSync(path, 'utf8');
      if (!text.includes('-worker.ts')) return undefined;
      const contents = text.replace(WORKER_URL, (_match, reference: string) => {
        const worker = resolve(dirname(path), reference);
        if (!existsSync(worker))
          throw new Error(`${path} starts the worker ${reference}, which does not exist`);
        return `new URL('./${workerBundleName(worker)}', import.meta.url)`;
      });
      return { contents, loader: 'ts' };
    });
  },
};

/**
 * CommonJS, not ES modules: Node starts such a bundle in half the time (docs/decisions/0005-bundles.md). It
 * follows that a main file has no top-level await.
 */
async function bundle(entry: string, output: string): Promise<string[]> {
  const result = await build({
    entryPoints: [entry],
    absWorkingDir: ROOT,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node26',
    outfile: output,
    banner: { js: "const __bundleUrl = require('node:url').pathToFileURL(__filename).href;" },
    define: {
      'import.meta.url': '__bundleUrl',
      'import.meta.dirname': '__dirname',
      'import.meta.filename': '__filename',
    },
    loader: { '.json': 'json' },
    plugins: [workerUrls],
    legalComments: 'none',
    logLevel: 'silent',
    metafile: true,
    write: false,
  });
  for (const file of result.outputFiles) writeWhole(file.path, file.contents);
  return Object.keys(result.metafile.inputs).map((path) => resolve(ROOT, path));
}

function target(entry: string, name: string, recipe: readonly string[]): Target {
  const output = join(DIST, name);
  return { name, outputs: [output], inputs: [entry, ...recipe], run: () => bundle(entry, output) };
}

export function bundleTargets(recipe: readonly string[]): Target[] {
  const executables = Object.entries(EXECUTABLES)
    .map(([name, path]) => target(join(SOURCE, path), `${name}.cjs`, recipe))
    .filter((t) => t.inputs[0] !== undefined && existsSync(t.inputs[0]));
  const workers = filesBelow(SOURCE, /-worker\.ts$/).map((path) =>
    target(path, workerBundleName(path), recipe),
  );
  const names = [...executables, ...workers].map((t) => basename(t.name));
  if (new Set(names).size !== names.length)
    throw new Error(`two bundles would have one name: ${names.join(' ')}`);
  return [...executables, ...workers];
}

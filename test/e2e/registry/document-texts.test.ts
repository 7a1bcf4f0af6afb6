import assert from 'node:assert/strict';
import { MEDIA_TYPES } from '#oci/descriptor.ts';
import { digestOf } from '#oci/digest.ts';
import { pull, registryTest, type RegistryTest } from '../../support/registry/fixture.ts';
import { type Fault, OPEN_REGISTRY } from '../../support/registry/plan.ts';

/** What is told about broken documents of a registry, word for word as the reference has it. */
const HOST = '127.0.0.1:5000';
const { dockerManifest: D, ociManifest: O, dockerIndex: L, ociIndex: I } = MEDIA_TYPES;
const CHAR = "invalid character '<' looking for beginning of value";
const KEY = "invalid character 'n' looking for beginning of object key string";
const CANNOT = 'json: cannot unmarshal';
const END = 'unexpected end of JSON input';
const AFTER = "invalid character 'x' after top-level value";

/** Of a config that comes whole, whatever is in it. */
const part = (text: string, mediaType: string) => ({ mediaType, digest: digestOf(text), size: text.length });
const LAYER = part('layer', MEDIA_TYPES.dockerLayer);
const CONFIG = {
  ...{ architecture: 'amd64', os: 'linux', config: { Cmd: ['sh'] } },
  rootfs: { type: 'layers', diff_ids: [digestOf('tree')] },
};

function manifest(over: object, config = JSON.stringify(CONFIG)): string {
  const of = part(config, MEDIA_TYPES.dockerConfig);
  return JSON.stringify({ schemaVersion: 2, mediaType: D, config: of, layers: [LAYER], ...over });
}

const layer = (over: object): string => manifest({ layers: [{ ...LAYER, ...over }] });
const list = (over: object): string =>
  JSON.stringify({
    schemaVersion: 2,
    mediaType: L,
    manifests: [{ ...LAYER, mediaType: D, platform: { os: 'linux', architecture: 'amd64' }, ...over }],
  });

/** Media type, body, text. */
type Case = readonly [mediaType: string, body: string, text: string];

/** Refused before the pull begins. */
const AT_ONCE: readonly Case[] = [
  ...[
    'text/html',
    'text/plain',
    'application/json',
    'application/octet-stream',
    'text/html; charset=utf-8',
  ].map((type): Case => [type, '<html></html>', `error unmarshalling content: ${CHAR}`]),
  ['application/json', '', `error unmarshalling content: ${END}`],
  // The reference looks for the signature of an old format, and misses its key.
  ['application/json', manifest({}), 'unsupported media type application/json'],
  ['application/octet-stream', manifest({}), 'unsupported media type application/octet-stream'],
  ...[D, O, L, I].flatMap((type): Case[] => [
    [type, '<html></html>', CHAR],
    [type, '{nope', KEY],
    [type, '', END],
    [type, `{} x`, AFTER],
  ]),
  [D, '[]', `${CANNOT} array into Go value of type schema2.Manifest`],
  [O, '[]', `${CANNOT} array into Go value of type ocischema.unknownDocument`],
  [L, '5', `${CANNOT} number into Go value of type manifestlist.ManifestList`],
  [I, '"x"', `${CANNOT} string into Go value of type manifestlist.unknownDocument`],
  [D, 'null', `mediaType in manifest should be '${D}' not ''`],
  [D, '{}', `mediaType in manifest should be '${D}' not ''`],
  [D, manifest({ mediaType: O }), `mediaType in manifest should be '${D}' not '${O}'`],
  [O, manifest({}), `if present, mediaType in manifest should be '${O}' not '${D}'`],
  [L, 'null', `mediaType in manifest list should be '${L}' not ''`],
  // The reference asks for the config without a name.
  [O, 'null', 'invalid manifest: not a JSON object'],
  [O, '{}', 'invalid manifest: it names no config'],
  [D, manifest({ config: null }), 'invalid manifest: it names no config'],
  [
    D,
    layer({ digest: 5 }),
    `${CANNOT} number into Go struct field Manifest.layers.0.digest of type digest.Digest`,
  ],
  [D, layer({ size: 'x' }), `${CANNOT} string into Go struct field Manifest.layers.0.size of type int64`],
  [D, layer({ size: 1.5 }), `${CANNOT} number 1.5 into Go struct field Manifest.layers.0.size of type int64`],
  [
    D,
    manifest({ layers: 5 }),
    `${CANNOT} number into Go struct field Manifest.layers of type []distribution.Descriptor`,
  ],
  [D, manifest({ layers: [5] }), `${CANNOT} number into Manifest.layers.0 of type distribution.Descriptor`],
  [
    D,
    manifest({ config: 'x' }),
    `${CANNOT} string into Go struct field Manifest.config of type distribution.Descriptor`,
  ],
  [
    L,
    list({ platform: 5 }),
    `${CANNOT} number into Go struct field ManifestList.manifests.0.platform of type manifestlist.PlatformSpec`,
  ],
];

const UP = `sha256:${'A'.repeat(64)}`;

/** Refused when the pull has begun. */
const LATER: readonly Case[] = [
  [
    D,
    layer({ digest: 'sha256:zz' }),
    'could not validate layer digest "sha256:zz": invalid checksum digest length',
  ],
  [D, layer({ digest: 'zz' }), 'could not validate layer digest "zz": invalid checksum digest format'],
  [D, layer({ digest: '' }), 'could not validate layer digest "": invalid checksum digest format'],
  [D, layer({ digest: UP }), `could not validate layer digest "${UP}": invalid checksum digest format`],
  [D, layer({ digest: 'md5:aa' }), 'could not validate layer digest "md5:aa": unsupported digest algorithm'],
  [D, manifest({ layers: [null] }), 'could not validate layer digest "": invalid checksum digest format'],
  [D, manifest({ layers: null }), "layers from manifest don't match image configuration"],
  // The reference says how often it tried to fetch what has no name.
  [
    D,
    manifest({ config: { ...LAYER, digest: 'sha256:zz' } }),
    'error pulling image configuration: invalid digest format',
  ],
  [L, list({ digest: 'sha256:zz' }), 'invalid digest format'],
  [
    L,
    list({ platform: { os: 'linux', architecture: 's390x' } }),
    'no matching manifest for linux/amd64 in the manifest list entries',
  ],
];

const config = (over: object): string => JSON.stringify({ ...CONFIG, ...over });
const FIELD = 'Go struct field Image';

/** Configs that come as the manifest says, and what is told about them. */
const CONFIGS: readonly (readonly [config: string, text: string])[] = [
  ['{nope', KEY],
  ['', END],
  ['{} x', AFTER],
  ['null', 'invalid rootfs in image configuration'],
  ['{}', 'invalid rootfs in image configuration'],
  [config({ rootfs: null }), 'invalid rootfs in image configuration'],
  ['[]', `${CANNOT} array into Go value of type image.Image`],
  [config({ rootfs: 5 }), `${CANNOT} number into ${FIELD}.rootfs of type image.RootFS`],
  [
    config({ rootfs: { diff_ids: [5] } }),
    `${CANNOT} number into Image.rootfs.diff_ids.0 of type layer.DiffID`,
  ],
  [config({ rootfs: { diff_ids: ['sha256:zz'] } }), "layers from manifest don't match image configuration"],
  [config({ os: 5 }), `${CANNOT} number into ${FIELD}.os of type string`],
  [config({ config: { Env: 5 } }), `${CANNOT} number into ${FIELD}.config.Env of type []string`],
  [config({ config: { Labels: { a: 5 } } }), `${CANNOT} number into ${FIELD}.config.Labels.a of type string`],
  [
    config({ config: { ExposedPorts: [] } }),
    `${CANNOT} array into ${FIELD}.config.ExposedPorts of type nat.PortSet`,
  ],
  [config({ history: 5 }), `${CANNOT} number into ${FIELD}.history of type []v1.History`],
  [
    config({ os: 'windows' }),
    'image operating system "windows" cannot be used on this platform: operating system is not supported',
  ],
];

function body(path: string, text: string, type: string): Fault {
  const headers = { 'content-type': type, 'docker-content-digest': digestOf(text) };
  return { path, act: { kind: 'body', base64: Buffer.from(text).toString('base64'), headers } };
}

async function check(
  { daemon, standin }: RegistryTest,
  of: { faults: Fault[]; begins: boolean; text: string },
) {
  await standin.setFaults(of.faults);
  const answer = await pull(daemon, `${HOST}/team/x:v`);
  assert.equal(answer.error, of.text);
  assert.equal(answer.lines[0]?.status, of.begins ? 'Pulling from team/x' : undefined, of.text);
}

registryTest(
  'broken documents of a registry are told about as the reference does',
  { hosts: { [HOST]: [OPEN_REGISTRY] }, tls: 'none' },
  async (given) => {
    for (const [cases, begins] of [
      [AT_ONCE, false],
      [LATER, true],
    ] as const)
      for (const [type, text, said] of cases)
        await check(given, {
          faults: [body('/manifests/', text, type), body('/blobs/', JSON.stringify(CONFIG), 'x/y')],
          begins,
          text: said,
        });
    for (const [text, said] of CONFIGS)
      await check(given, {
        faults: [
          body('/manifests/', manifest({}, text), D),
          body('/blobs/', text, 'application/octet-stream'),
        ],
        ...{ begins: true, text: said },
      });
    assert.equal(await given.daemon.mustDocker(['images', '-aq']), '');
  },
);

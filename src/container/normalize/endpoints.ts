import * as messages from '#api/messages.ts';
import type { EndpointWish } from '../record.ts';
import { Fields, invalid, mapFrom } from './fields.ts';
import { isJsonObject } from '#base/json.ts';
import { joined } from './modes.ts';

export const NO_WISH: EndpointWish = {
  IPAMConfig: null,
  Links: null,
  Aliases: null,
  MacAddress: '',
  DriverOpts: null,
  GwPriority: 0,
};

const MAC = /^[0-9a-fA-F]{2}(?:[:-][0-9a-fA-F]{2}){5}$/;

function parseEndpoint(fields: Fields): EndpointWish {
  const ipam = fields.object('IPAMConfig');
  const mac = fields.text('MacAddress');
  if (mac !== '' && !MAC.test(mac)) throw invalid(`invalid MAC address: ${mac}`);
  const v4 = ipam?.text('IPv4Address') ?? '';
  const v6 = ipam?.text('IPv6Address') ?? '';
  const local = ipam?.texts('LinkLocalIPs') ?? null;
  return {
    IPAMConfig:
      ipam === null
        ? null
        : {
            ...(v4 !== '' && { IPv4Address: v4 }),
            ...(v6 !== '' && { IPv6Address: v6 }),
            ...(local !== null && { LinkLocalIPs: local }),
          },
    Links: fields.texts('Links'),
    Aliases: fields.texts('Aliases'),
    MacAddress: mac.toLowerCase(),
    DriverOpts: fields.textMap('DriverOpts'),
    GwPriority: fields.integer('GwPriority'),
  };
}

/** Addresses on the networks that are always there are nobody's to choose. */
function checkDefaultNetwork(name: string, wish: EndpointWish): void {
  const { IPv4Address, IPv6Address } = wish.IPAMConfig ?? {};
  const isDefault = name === 'bridge' || name === 'host' || name === 'none';
  if (isDefault && (IPv4Address !== undefined || IPv6Address !== undefined))
    throw invalid(messages.addressOnDefaultNetwork(name));
}

/**
 * Endpoints by network name; the network of `mode` is always among them, unless another container's is
 * joined.
 */
export function parseEndpoints(
  body: Fields,
  mode: string,
  macAddress: string,
): Readonly<Record<string, EndpointWish>> {
  if (joined(mode) !== null) return mapFrom([]);
  const found = new Map<string, EndpointWish>();
  const config = body.object('NetworkingConfig')?.object('EndpointsConfig') ?? null;
  for (const [name, value] of config?.entries() ?? []) {
    const network = name === 'default' ? 'bridge' : name;
    found.set(
      network,
      isJsonObject(value) ? parseEndpoint(new Fields(value, '.NetworkingConfig.EndpointsConfig')) : NO_WISH,
    );
  }
  for (const [name, wish] of found) checkDefaultNetwork(name, wish);
  const main = found.get(mode) ?? NO_WISH;
  if (macAddress !== '' && !MAC.test(macAddress)) throw invalid(`invalid MAC address: ${macAddress}`);
  found.set(
    mode,
    macAddress !== '' && main.MacAddress === '' ? { ...main, MacAddress: macAddress.toLowerCase() } : main,
  );
  return mapFrom([...found]);
}

import { nowNanos } from '#base/clock.ts';
import type { NetworkService } from '#network/service.ts';
import type { SandboxFacts } from '#network/model.ts';
import type { EventsService } from './events.ts';

const DRIVERS: Readonly<Record<string, string>> = { none: 'null', host: 'host' };

function tell(events: EventsService, action: 'connect' | 'disconnect', facts: SandboxFacts): void {
  for (const endpoint of Object.values(facts.endpoints)) {
    const { networkId, networkName } = endpoint;
    const attributes = {
      container: facts.containerId,
      name: networkName,
      type: DRIVERS[networkName] ?? 'bridge',
    };
    events.emit({ type: 'network', action, id: networkId, attributes, timeNanos: nowNanos() });
  }
}

/** The network service as it is, telling the world who comes and goes. */
export function withNetworkEvents(networks: NetworkService, events: EventsService): NetworkService {
  const { sandbox } = networks;
  return {
    ...networks,
    sandbox: {
      ...sandbox,
      async prepare(request) {
        const prepared = await sandbox.prepare(request);
        tell(events, 'connect', prepared);
        return prepared;
      },
      async release(containerId) {
        const facts = sandbox.facts(containerId);
        await sandbox.release(containerId);
        if (facts !== undefined) tell(events, 'disconnect', facts);
      },
    },
  };
}

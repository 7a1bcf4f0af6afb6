import { checkLogging } from './normalize/logging.ts';
import type { ContainerSettings } from './ports.ts';

/** Whether the daemon may start with these. Errors: as for a container that asks for them. */
export function checkLogDefaults(settings: Pick<ContainerSettings, 'logDriver' | 'logOptions'>): void {
  checkLogging(settings.logDriver, settings.logOptions);
}

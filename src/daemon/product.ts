/**
 * Versions this engine reports. Clients parse the first as the reference's; the build part says what it is.
 */
export const GANTRY_VERSION = '0.1.0';
export const ENGINE_VERSION = `28.5.2+gantry.${GANTRY_VERSION}`;
export const PRODUCT = `Gantry/${GANTRY_VERSION} (linux)`;
export const PLATFORM_NAME = 'gantry';

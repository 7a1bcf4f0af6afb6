/** One of the known values, or one that a newer engine knows: completion without a lie. */
export type OneOf<T extends string> = T | (string & {});

/** Bytes that are taken piece by piece. */
export interface ByteSource {
  /** A view that is valid until the next call; null at the end. */
  next(): Promise<Buffer | null>;
}

/** The plain bytes of an archive. */
export interface PlainSource extends ByteSource {
  /** The bytes are those of the file, as they are. */
  readonly isStored: boolean;
  /** Takes nothing more from its source; that one can be read on by somebody else then. */
  stop(): Promise<void>;
}

/** Where decoders get leave for what they look back at. */
export interface Budget {
  take(bytes: number): Promise<() => void>;
}

import type { Socket } from 'node:net';
import { AttachChannel } from '../shim/attach.ts';
import { connectShim } from '../shim/spawn.ts';
import type { AttachOptions, AttachStream } from '../task.ts';

/** Clients start an exec right after its creation; whoever takes longer gets a connection then. */
const KEPT_MS = 1000;

interface Made {
  readonly socket: Socket;
  readonly channel: AttachChannel;
}

/**
 * An attach connection for an exec that was just created: it is made while its client reads the answer, not
 * while somebody waits for the process.
 */
export class AttachAhead {
  readonly execId: string;
  readonly #made: Promise<Made | null>;
  readonly #timer: NodeJS.Timeout;

  constructor(directory: string, execId: string, options: AttachOptions) {
    this.execId = execId;
    this.#made = connect(directory, execId, options);
    this.#timer = setTimeout(() => this.drop(), KEPT_MS).unref();
  }

  /** Null when there is none, or none any more. */
  async take(): Promise<AttachStream | null> {
    clearTimeout(this.#timer);
    const made = await this.#made;
    return made === null || made.socket.destroyed ? null : made.channel;
  }

  drop(): void {
    clearTimeout(this.#timer);
    void this.#made.then((made) => made?.channel.detach());
  }
}

async function connect(directory: string, execId: string, options: AttachOptions): Promise<Made | null> {
  try {
    const socket = await connectShim(directory);
    const channel = new AttachChannel(options, () => undefined);
    await channel.bind(socket, execId);
    return { socket, channel };
  } catch {
    // Whoever starts the exec tries again, and is told.
    return null;
  }
}

import { Agent, request } from 'node:http';
import { run } from '../support/command.ts';

/** An engine under measurement, reached by its socket only. */
export class BenchEngine {
  readonly label: string;
  readonly socket: string;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 });

  constructor(label: string, socket: string) {
    this.label = label;
    this.socket = socket;
  }

  /** One API call over kept connections; the body is read to its end. */
  call(method: string, path: string, body?: unknown): Promise<{ status: number; text: string }> {
    const payload =
      body === undefined ? undefined : Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body));
    const type = Buffer.isBuffer(body) ? 'application/x-tar' : 'application/json';
    return new Promise((resolve, reject) => {
      const outgoing = request(
        {
          socketPath: this.socket,
          agent: this.#agent,
          method,
          path: `/v1.51${path}`,
          headers: payload === undefined ? {} : { 'content-type': type, 'content-length': payload.length },
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', reject);
          response.on('end', () =>
            resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }),
          );
        },
      );
      outgoing.on('error', reject);
      outgoing.end(payload);
    });
  }

  async must(method: string, path: string, body?: unknown): Promise<string> {
    const answer = await this.call(method, path, body);
    if (answer.status >= 300)
      throw new Error(`${this.label}: ${method} ${path}: ${answer.status} ${answer.text}`);
    return answer.text;
  }

  async create(config: Record<string, unknown>): Promise<string> {
    const text = await this.must('POST', '/containers/create', { Image: 'bench', ...config });
    return (JSON.parse(text) as { Id: string }).Id;
  }

  async remove(id: string): Promise<void> {
    await this.call('DELETE', `/containers/${id}?force=1`);
  }

  async removeAll(): Promise<void> {
    const list = JSON.parse(await this.must('GET', '/containers/json?all=1')) as { Id: string }[];
    await Promise.all(list.map(({ Id }) => this.remove(Id)));
  }

  async docker(args: readonly string[]): Promise<string> {
    const env = { DOCKER_HOST: `unix://${this.socket}`, HOME: '/tmp' };
    const result = await run('docker', args, { env, timeoutMs: 120_000 });
    if (result.exit !== 0) throw new Error(`${this.label}: docker ${args.join(' ')}: ${result.stderr}`);
    return result.stdout;
  }

  close(): void {
    this.#agent.destroy();
  }
}

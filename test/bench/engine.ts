import { run } from '../support/command.ts';
import { type Answer, HttpClient } from './http-client.ts';

/** An engine under measurement, reached by its socket only. */
export class BenchEngine {
  readonly label: string;
  readonly socket: string;
  readonly #client: HttpClient;

  constructor(label: string, socket: string) {
    this.label = label;
    this.socket = socket;
    this.#client = new HttpClient(socket);
  }

  /** One API call over kept connections; the body is read to its end. */
  call(method: string, path: string, body?: unknown): Promise<Answer> {
    const payload =
      body === undefined
        ? undefined
        : Buffer.isBuffer(body)
          ? { type: 'application/x-tar', bytes: body }
          : { type: 'application/json', bytes: Buffer.from(JSON.stringify(body)) };
    return this.#client.request(method, `/v1.51${path}`, payload);
  }

  /** Errors: an answer that tells one. */
  async answered(method: string, path: string, body?: unknown): Promise<Answer> {
    const answer = await this.call(method, path, body);
    if (answer.status >= 300)
      throw new Error(`${this.label}: ${method} ${path}: ${answer.status} ${answer.text}`);
    return answer;
  }

  async must(method: string, path: string, body?: unknown): Promise<string> {
    return (await this.answered(method, path, body)).text;
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
    this.#client.close();
  }
}

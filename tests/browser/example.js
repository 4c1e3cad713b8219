// The built example, on free ports of 127.0.0.1.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';

const root = join(import.meta.dirname, '../..');
const program = join(resolve(root, process.env.CARGO_TARGET_DIR ?? 'target'), 'debug/examples/provider');

export const ALICE = { name: 'alice', password: 'wonderland' };

/** Starts the example; resolves once it listens. */
export async function start() {
  const folder = await mkdtemp(join(tmpdir(), 'provider-'));
  const child = spawn(program, ['--listen', '127.0.0.1:0', '--secret', join(folder, 'secret')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  const example = { origin: '', customapp: '', stop };
  for await (const line of createInterface({ input: child.stdout })) {
    example.customapp ||= line.match(/^CustomApp: (http:.*)/)?.[1] ?? '';
    example.origin = line.match(/^listening on (http:.*)/)?.[1] ?? '';
    if (example.origin) return example;
  }
  throw new Error(`the example ended, with ${await ended}`);

  /** Asks it to stop, and resolves to its exit status. */
  async function stop() {
    child.kill('SIGTERM');
    const [status] = await ended;
    await rm(folder, { recursive: true });
    return status;
  }
}

/** Registers a client by itself (RFC 7591). */
export async function register(example, metadata) {
  const discovered = await fetch(`${example.origin}/.well-known/oauth-authorization-server`);
  const { registration_endpoint } = await discovered.json();
  const answer = await fetch(registration_endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(metadata),
  });
  if (answer.status !== 201) throw new Error(`${answer.status} ${await answer.text()}`);
  return answer.json();
}

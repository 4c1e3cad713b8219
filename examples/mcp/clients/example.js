// The built examples, on a free port of 127.0.0.1, and the person at the browser.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';

const root = join(import.meta.dirname, '../../..');
const target = join(resolve(root, process.env.CARGO_TARGET_DIR ?? 'target'), 'debug');

/** Where a client of a person's own is sent back to; nobody listens there, since the tests read where they are sent. */
export const CALLBACK = 'http://127.0.0.1:9/callback';

/** The MCP example; resolves once it listens. */
export function notes() {
  return start([join(target, 'mcp-example'), '127.0.0.1:0'], /^connect a client to (http:.*)\/mcp/);
}

/** The provider example. */
export async function provider() {
  const folder = await mkdtemp(join(tmpdir(), 'provider-'));
  const command = [join(target, 'examples/provider'), '--listen', '127.0.0.1:0', '--secret', join(folder, 'secret')];
  const example = await start(command, /^listening on (http:.*)/);
  return {
    ...example,
    async stop() {
      await example.stop();
      await rm(folder, { recursive: true });
    },
  };
}

async function start([program, ...options], ready) {
  const child = spawn(program, options, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  for await (const line of createInterface({ input: child.stdout })) {
    const origin = line.match(ready)?.[1];
    if (!origin) continue;
    child.stdout.resume();
    return {
      origin,
      async stop() {
        child.kill('SIGTERM');
        await ended;
      },
    };
  }
  throw new Error(`${program} ended, with ${await ended}`);
}

/** Opens the page of an authorization URL and says yes or no; answers where the browser is sent on to. */
export async function decide(url, allow = true) {
  const page = await fetch(url, { redirect: 'manual' });
  if (page.status !== 200) throw new Error(`${page.status} ${page.headers.get('location')} ${await page.text()}`);
  const decision = await fetch(url, {
    method: 'POST',
    redirect: 'manual',
    body: new URLSearchParams({ user: 'alice', allow: String(allow) }),
  });
  if (decision.status !== 303 && decision.status !== 302) throw new Error(`${decision.status} ${await decision.text()}`);
  return new URL(decision.headers.get('location'));
}

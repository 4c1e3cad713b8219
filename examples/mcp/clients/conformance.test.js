// The judge of MCP's own authors, at both examples: each scenario for authorization servers.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';

import { decide, notes, provider } from './example.js';

const here = import.meta.dirname;
// It needs Node 22.
const node = Number(process.versions.node.split('.')[0]) < 22 ? join(here, 'node_modules/node/bin/node') : process.execPath;
const judge = join(here, 'node_modules/@modelcontextprotocol/conformance/dist/index.js');

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((listening) => server.once('listening', listening));
  const { port } = server.address();
  await new Promise((closed) => server.close(closed));
  return port;
}

/** Runs the scenarios; `person` goes where the judge sends the browser. Answers its exit status and what it said. */
async function run(options, person) {
  const child = spawn(node, [judge, 'authorization', ...options], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise((exit) => child.once('exit', exit));
  const said = [];
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      said.push(line);
      const waits = line.startsWith('Callback server started');
      if (waits) await fetch(await person(said.find((line) => line.startsWith('http'))));
    }
  } catch (error) {
    child.kill();
    throw error;
  }
  return { status: await ended, said: said.join('\n') };
}

/** Each of its scenarios has passed, and none was skipped; of the metadata, that many checks. */
function passes({ status, said }, checks) {
  assert.equal(status, 0, said);
  assert.ok(said.includes(`✓ authorization-server-metadata-endpoint: ${checks} passed, 0 failed`), said);
  assert.match(said, /✓ authorization-code-grant: 1 passed, 0 failed/);
}

test('the MCP example is an authorization server as MCP wants it', async () => {
  const example = await notes();
  try {
    const port = await freePort();
    const registration = await fetch(`${example.origin}/register`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        redirect_uris: [`http://127.0.0.1:${port}/callback`],
        token_endpoint_auth_method: 'none',
        application_type: 'native',
      }),
    });
    const { client_id } = await registration.json();
    const resource = ['--resource', `${example.origin}/mcp`];
    const options = ['--url', example.origin, '--client-id', client_id, '--port', `${port}`, ...resource];
    // The second check is that clients may describe themselves.
    passes(await run(options, decide), 2);
  } finally {
    await example.stop();
  }
});

test('so is the provider example', async () => {
  const example = await provider();
  try {
    const options = ['--url', example.origin, '--client-id', 'cli', '--port', `${await freePort()}`];
    passes(await run(options, (url) => login(example, url)), 1);
  } finally {
    await example.stop();
  }
});

/** A person who logs in at the provider example, and allows; answers where the browser is sent on to. */
async function login(example, url) {
  let cookie = '';
  const ask = async (target, form) => {
    const body = form && new URLSearchParams(form);
    const headers = { cookie };
    const answer = await fetch(target, { method: form ? 'POST' : 'GET', body, headers, redirect: 'manual' });
    cookie = answer.headers.getSetCookie().at(-1)?.split(';')[0] ?? cookie;
    const location = answer.headers.get('location');
    return { page: await answer.text(), next: location && new URL(location, example.origin) };
  };
  const token = (page, field) =>
    page.split('<form').find((form) => form.includes(`name="${field}"`)).match(/name="form_token" value="([^"]*)"/)[1];
  const { next: at } = await ask(url);
  const { page } = await ask(at);
  const { next: back } = await ask(at, {
    form_token: token(page, 'username'),
    username: 'alice',
    password: 'wonderland',
  });
  const consent = await ask(back);
  const decided = await ask(back, { form_token: token(consent.page, 'decision'), decision: 'allow' });
  return decided.next;
}

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
  for await (const line of createInterface({ input: child.stdout })) {
    said.push(line);
    if (line.startsWith('http')) await fetch(await person(line));
  }
  return { status: await ended, said: said.join('\n') };
}

/** Both scenarios, one success each and nothing else. */
function judged({ status, said }, passed) {
  assert.equal(status, 0, said);
  const results = said.match(/Passed: \d+\/\d+, \d+ failed/g) ?? [];
  assert.match(said, passed, said);
  assert.ok(results.every((result) => result.endsWith(' 0 failed')), said);
  assert.match(said, /Valid authorization server metadata response/);
  assert.match(said, /Valid authorization code grant/);
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
    judged(await run(options, decide), /SUCCESS/);
  } finally {
    await example.stop();
  }
});

test('so is the provider example', async () => {
  const example = await provider();
  try {
    const options = ['--url', example.origin, '--client-id', 'cli', '--port', `${await freePort()}`];
    judged(await run(options, (url) => login(example, url)), /SUCCESS/);
  } finally {
    await example.stop();
  }
});

/** A person who logs in at the provider example, and allows. */
async function login(example, url) {
  const cookies = new Map();
  const ask = async (target, body) => {
    const answer = await fetch(new URL(target, example.origin), {
      method: body ? 'POST' : 'GET',
      body: body && new URLSearchParams(body),
      headers: { cookie: [...cookies].map((pair) => pair.join('=')).join('; ') },
      redirect: 'manual',
    });
    for (const cookie of answer.headers.getSetCookie()) {
      const [, name, value] = cookie.match(/^([^=]+)=([^;]*)/);
      cookies.set(name, value);
    }
    return answer;
  };
  let [target, answer] = [url, await ask(url)];
  for (let step = 0; step < 6; step += 1) {
    const location = answer.headers.get('location');
    if (location) {
      const next = new URL(location, new URL(target, example.origin));
      if (next.origin !== example.origin) return next;
      target = next.href;
      answer = await ask(target);
      continue;
    }
    const page = await answer.text();
    const fields = {};
    for (const [tag] of page.matchAll(/<input[^>]*>/g)) {
      const name = tag.match(/name="?([^\s">]+)/)?.[1];
      const value = tag.match(/value="?([^"\s>]*)/)?.[1] ?? '';
      if (name && (!/type="?(checkbox|radio)/.test(tag) || /checked/.test(tag))) fields[name] = value;
    }
    if (/type="?password/.test(page)) {
      const name = page.match(/<input[^>]*type="?text[^>]*>/)?.[0].match(/name="?([^\s">]+)/)?.[1];
      const secret = page.match(/<input[^>]*type="?password[^>]*>/)[0].match(/name="?([^\s">]+)/)[1];
      Object.assign(fields, { [name ?? 'name']: 'alice', [secret]: 'wonderland' });
    } else {
      const button = page.match(/<button[^>]*name="?([^\s">]+)"?[^>]*value="?([^\s">]+)/);
      if (button) fields[button[1]] = button[2];
    }
    const action = page.match(/<form[^>]*action="([^"]*)"/)?.[1]?.replaceAll('&amp;', '&');
    answer = await ask(action || target, fields);
  }
  throw new Error('the person does not come through the pages');
}

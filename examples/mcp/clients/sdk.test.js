// The clients of the official SDK, of both its lines, at the MCP example: registration, token, call, refresh, step-up.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';

import * as two from '@modelcontextprotocol/client';
import * as auth from '@modelcontextprotocol/sdk/client/auth.js';
import * as client from '@modelcontextprotocol/sdk/client/index.js';
import * as http from '@modelcontextprotocol/sdk/client/streamableHttp.js';

import { CALLBACK, decide, notes } from './example.js';

let example;
beforeEach(async () => (example = await notes()));
afterEach(() => example.stop());

/** What an app gives to the SDK: it keeps what it is told, and opens no browser. */
class Person {
  redirectUrl = CALLBACK;
  asked = [];

  constructor(grantTypes) {
    this.clientMetadata = {
      client_name: 'A client with the SDK',
      redirect_uris: [CALLBACK],
      grant_types: grantTypes,
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
      application_type: 'native',
    };
  }

  state = () => 'a-state';
  clientInformation = () => this.client;
  saveClientInformation = (client) => (this.client = client);
  tokens = () => this.kept;
  saveTokens = (tokens) => (this.kept = tokens);
  redirectToAuthorization = (url) => this.asked.push(url);
  saveCodeVerifier = (verifier) => (this.verifier = verifier);
  codeVerifier = () => this.verifier;
  saveDiscoveryState = (state) => (this.discovered = state);
  discoveryState = () => this.discovered;
}

const REFRESHING = ['authorization_code', 'refresh_token'];

/** The first asks for what the challenge names. The second adds `offline_access`, since it is offered, and what it had. */
const LINES = [
  { line: '1.32', sdk: { ...auth, ...client, ...http }, first: 'notes:read', more: 'notes:read notes:write' },
  { line: '2.4', sdk: two, first: 'notes:read offline_access', more: 'notes:read offline_access notes:write' },
];

const text = (result) => result.content[0].text;

for (const { line, sdk, first, more } of LINES) {
  const { Client, StreamableHTTPClientTransport, UnauthorizedError, auth } = sdk;

  function transport(person) {
    return new StreamableHTTPClientTransport(new URL(`${example.origin}/mcp`), { authProvider: person });
  }

  /** The user allows what was asked for last. */
  async function allow(person, through) {
    const back = await decide(person.asked.at(-1));
    assert.equal(back.searchParams.get('state'), 'a-state');
    assert.equal(back.searchParams.get('iss'), example.origin);
    await through.finishAuth(back.searchParams.get('code'), back.searchParams.get('iss'));
  }

  /** A client that went through all of it, from the URL of the server alone. */
  async function connected(person) {
    const refused = transport(person);
    await assert.rejects(new Client({ name: 'test', version: '1' }).connect(refused), UnauthorizedError);
    await allow(person, refused);
    const client = new Client({ name: 'test', version: '1' });
    await client.connect(transport(person));
    return client;
  }

  test(`${line}: from the URL of the server alone, a client registers, is allowed, and calls`, async () => {
    const person = new Person(REFRESHING);
    const client = await connected(person);
    const [asked] = person.asked;
    assert.equal(asked.searchParams.get('resource'), `${example.origin}/mcp`);
    assert.equal(asked.searchParams.get('scope'), first);
    assert.equal(asked.searchParams.get('client_id'), person.client.client_id);
    const { tools } = await client.listTools();
    assert.deepEqual(tools.map((tool) => tool.name).sort(), ['add_note', 'list_notes']);
    assert.equal(text(await client.callTool({ name: 'list_notes' })), '');
    await client.close();
  });

  test(`${line}: a token that is good no more is refreshed, without a word to the user`, async () => {
    const person = new Person(REFRESHING);
    const client = await connected(person);
    const { access_token, refresh_token } = person.kept;
    person.kept = { ...person.kept, access_token: `${access_token.slice(0, -1)}_` };
    assert.equal(text(await client.callTool({ name: 'list_notes' })), '');
    assert.equal(person.asked.length, 1);
    assert.notEqual(person.kept.access_token, access_token);
    assert.notEqual(person.kept.refresh_token, refresh_token);
    await client.close();
  });

  test(`${line}: a call that needs more is asked for with all that it needs, on the same registration`, async () => {
    const person = new Person(line === '1.32' ? ['authorization_code'] : REFRESHING);
    const client = await connected(person);
    const { client_id } = person.client;
    const add = { name: 'add_note', arguments: { text: 'buy milk' } };
    await assert.rejects(client.callTool(add), UnauthorizedError);
    assert.equal(person.asked.at(-1).searchParams.get('scope'), more);
    assert.equal(person.client.client_id, client_id);
    await allow(person, client.transport);
    assert.equal(text(await client.callTool(add)), '1 notes');
    assert.equal(text(await client.callTool({ name: 'list_notes' })), 'buy milk');
    await client.close();
  });

  // With a refresh token the first line refreshes before it asks for more, which gives the same scope; the app that is told of
  // the 403 asks anew.
  test(`${line}: one that refreshes in place of asking gets there by asking anew`, async () => {
    const person = new Person(REFRESHING);
    const client = await connected(person);
    const add = { name: 'add_note', arguments: { text: 'buy bread' } };
    await assert.rejects(client.callTool(add), line === '1.32' ? { code: 403 } : UnauthorizedError);
    person.kept = undefined;
    const scope = 'notes:read notes:write';
    assert.equal(await auth(person, { serverUrl: `${example.origin}/mcp`, scope }), 'REDIRECT');
    await allow(person, client.transport);
    assert.equal(text(await client.callTool(add)), '1 notes');
    await client.close();
  });

  test(`${line}: who says no is heard, with the name of who answers`, async () => {
    const person = new Person(REFRESHING);
    await assert.rejects(new Client({ name: 'test', version: '1' }).connect(transport(person)), UnauthorizedError);
    const back = await decide(person.asked[0], false);
    assert.equal(back.searchParams.get('error'), 'access_denied');
    assert.equal(back.searchParams.get('iss'), example.origin);
    assert.equal(back.searchParams.get('code'), null);
  });
}

// What clients of each revision of MCP send, by hand: where they look, with and without `resource` and `scope`, and how they
// say which revision they speak. `src/guide/mcp.md` has the table.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';

import { CALLBACK, decide, notes } from './example.js';

let example;
before(async () => (example = await notes()));
after(() => example.stop());

const json = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };

async function document(path) {
  const answer = await fetch(new URL(path, example.origin));
  assert.equal(answer.status, 200, path);
  return answer.json();
}

/** 2025-03-26: the metadata are at the root of the server's own origin, and nothing says for which server a token is. */
const fromRoot = () => document('/.well-known/oauth-authorization-server');

/** Or the endpoints are where they are by default. */
const fromNothing = async () => ({
  authorization_endpoint: `${example.origin}/authorize`,
  token_endpoint: `${example.origin}/token`,
  registration_endpoint: `${example.origin}/register`,
});

/** Since 2025-06-18: the 401 names the metadata of the server, which name who issues tokens. */
async function fromChallenge() {
  const refused = await fetch(`${example.origin}/mcp`, { method: 'POST', headers: json, body: '{}' });
  assert.equal(refused.status, 401);
  const named = refused.headers.get('www-authenticate').match(/resource_metadata="([^"]*)"/)[1];
  return fromResource(await document(named));
}

/** Since 2025-11-25, where no 401 names it: at the path of the server, and then at the root. */
const fromWellKnown = async () => fromResource(await document('/.well-known/oauth-protected-resource/mcp'));
const fromRootResource = async () => fromResource(await document('/.well-known/oauth-protected-resource'));

async function fromResource({ resource, authorization_servers }) {
  assert.equal(resource, `${example.origin}/mcp`);
  const [issuer] = authorization_servers;
  const metadata = await document(new URL('/.well-known/oauth-authorization-server', issuer).href);
  assert.equal(metadata.issuer, issuer);
  assert.deepEqual(metadata.code_challenge_methods_supported, ['S256']);
  return metadata;
}

async function register({ registration_endpoint }, scope, revision) {
  const metadata = { redirect_uris: [CALLBACK], token_endpoint_auth_method: 'none', scope };
  metadata.grant_types = ['authorization_code', 'refresh_token'];
  if (revision >= '2026') metadata.application_type = 'native';
  const answer = await fetch(registration_endpoint, { method: 'POST', headers: json, body: JSON.stringify(metadata) });
  assert.equal(answer.status, 201);
  return (await answer.json()).client_id;
}

async function token(metadata, form) {
  const answer = await fetch(metadata.token_endpoint, { method: 'POST', body: new URLSearchParams(form) });
  assert.equal(answer.status, 200);
  return answer.json();
}

/** The message as the revision has it, and its answer. */
async function call(revision, access_token, method, params = {}) {
  const headers = { ...json, authorization: `Bearer ${access_token}` };
  if (method !== 'initialize') headers['mcp-protocol-version'] = revision;
  if (revision >= '2026') {
    headers['mcp-method'] = method;
    if (params.name) headers['mcp-name'] = params.name;
    params = {
      ...params,
      _meta: {
        'io.modelcontextprotocol/protocolVersion': revision,
        'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
        'io.modelcontextprotocol/clientCapabilities': {},
      },
    };
  }
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
  const answer = await fetch(`${example.origin}/mcp`, { method: 'POST', headers, body });
  return { status: answer.status, challenge: answer.headers.get('www-authenticate'), body: await answer.text() };
}

const REVISIONS = [
  ['2025-03-26', fromRoot],
  ['2025-03-26', fromNothing],
  ['2025-06-18', fromChallenge],
  ['2025-11-25', fromChallenge],
  ['2025-11-25', fromWellKnown],
  ['2025-11-25', fromRootResource],
  ['2026-07-28', fromChallenge],
  ['2026-07-28', fromWellKnown],
  ['2026-07-28', fromRootResource],
];

for (const [revision, discover] of REVISIONS) {
  for (const withResource of [false, true]) {
    for (const scope of [undefined, 'notes:read']) {
      const named = [withResource && 'resource', scope && 'scope'].filter(Boolean).join(' and ') || 'neither';
      test(`${revision}, ${discover.name}, with ${named}`, async () => {
        const metadata = await discover();
        const client_id = await register(metadata, scope, revision);
        const resource = withResource ? { resource: `${example.origin}/mcp` } : {};
        const code_verifier = randomBytes(32).toString('base64url');
        const url = new URL(metadata.authorization_endpoint);
        const asked = {
          response_type: 'code',
          client_id,
          redirect_uri: CALLBACK,
          code_challenge: createHash('sha256').update(code_verifier).digest('base64url'),
          code_challenge_method: 'S256',
          ...resource,
          ...(scope && { scope }),
        };
        Object.entries(asked).forEach(([name, value]) => url.searchParams.set(name, value));
        const back = await decide(url);
        assert.equal(back.searchParams.get('iss'), example.origin);
        const code = back.searchParams.get('code');
        const grant_type = 'authorization_code';
        const first = { grant_type, code, client_id, redirect_uri: CALLBACK, code_verifier, ...resource };
        let tokens = await token(metadata, first);
        const { refresh_token } = tokens;
        tokens = await token(metadata, { grant_type: 'refresh_token', refresh_token, client_id, ...resource });

        if (revision < '2026') {
          const params = { protocolVersion: revision, capabilities: {}, clientInfo: { name: 'test', version: '1' } };
          const begun = await call(revision, tokens.access_token, 'initialize', params);
          assert.equal(begun.status, 200, begun.body);
          assert.equal(JSON.parse(begun.body).result.protocolVersion, revision);
        }
        const listed = await call(revision, tokens.access_token, 'tools/call', { name: 'list_notes', arguments: {} });
        assert.equal(listed.status, 200, listed.body);
        assert.ok(JSON.parse(listed.body).result, listed.body);

        // Who named no scope got all, and who named one has to ask for more.
        const added = await call(revision, tokens.access_token, 'tools/call', {
          name: 'add_note',
          arguments: { text: 'milk' },
        });
        assert.equal(added.status, scope ? 403 : 200, added.body);
        if (scope) assert.match(added.challenge, /error="insufficient_scope".* scope="notes:read notes:write"/);
      });
    }
  }
}

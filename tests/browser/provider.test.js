// What a person does with the example, in a real browser.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { ALICE, register, start } from './example.js';
import { launch, Person, screenshots } from './person.js';

let example;
let browser;

before(async () => {
  browser = await launch();
  console.log(`screenshots: ${screenshots}`);
});

after(() => browser?.close());

/** A test where nothing has happened yet at the sites and in the browser; no page may cause trouble. */
function story(name, tell) {
  test(name, { timeout: 60_000 }, async (t) => {
    example = await start();
    const person = await Person.at(browser);
    // It ends well although the browser still holds its connections.
    t.after(async () => assert.equal(await example.stop(), 0));
    t.after(() => person.context.close());
    await tell(person, t);
    person.isUntroubled();
  });
}

/** Another site than the example's, until the test ends; resolves to its origin. */
async function site(t, answer) {
  const server = createServer((request, response) => {
    response.setHeader('content-type', 'text/html; charset=utf-8');
    answer(request.url, response);
  });
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return `http://127.0.0.1:${server.address().port}`;
}

/** Connects alice's account to CustomApp. */
async function connect(person) {
  await person.open(example.customapp);
  await person.press('Connect my account');
  await person.logIn(ALICE);
  await person.press('Allow');
  assert.equal(await person.heading(), 'Hello, Alice');
}

story('a person logs in, allows CustomApp, and is greeted there by name', async (person) => {
  await person.open(example.customapp);
  await person.look('customapp-welcome');
  await person.press('Connect my account');
  assert.ok(person.page.url().startsWith(`${example.origin}/login?`));
  await person.look('login');
  await person.logIn({ name: 'alice', password: 'wrong' });
  await person.look('login-failed');
  await person.logIn(ALICE);
  assert.equal(await person.heading(), 'CustomApp asks for access');
  await person.look('consent');
  await person.press('Allow');
  assert.equal(person.page.url(), `${example.customapp}/`);
  assert.equal(await person.heading(), 'Hello, Alice');
  await person.look('customapp-connected');
});

story('a person who denies is told so by the app, and no app is connected', async (person) => {
  await person.open(example.customapp);
  await person.press('Connect my account');
  await person.logIn(ALICE);
  await person.press('Deny');
  assert.ok(person.page.url().startsWith(`${example.customapp}/`));
  assert.match(await person.text(), /not connected[^]*you did not allow it/);
  await person.look('customapp-denied');
  await person.open(`${example.origin}/apps`);
  assert.match(await person.text(), /No app has access/);
  await person.look('apps-none');
});

story('a second visit needs no login, and asks only for what is not allowed yet', async (person) => {
  await connect(person);
  const asked = [];
  person.page.on('framenavigated', () => asked.push(new URL(person.page.url()).pathname));
  // The app forgets the person; the site does not.
  await person.context.clearCookies({ name: 'customapp' });
  await person.open(example.customapp);
  await person.press('Connect my account');
  assert.equal(await person.heading(), 'Hello, Alice');
  assert.deepEqual(asked, ['/', '/']);

  await person.press('Disconnect');
  await person.open(`${example.origin}/apps`);
  await person.press('Disconnect CustomApp');
  await person.open(example.customapp);
  await person.press('Connect my account');
  assert.equal(await person.heading(), 'CustomApp asks for access');
});

story('CustomApp stays connected with its refresh token, and says what came back', async (person) => {
  await connect(person);
  for (let time = 0; time < 2; time++) {
    await person.press('Stay connected');
    assert.equal(person.page.url(), `${example.customapp}/`);
    assert.equal(await person.heading(), 'Hello, Alice');
    const text = await person.text();
    assert.match(text, /grant_type = refresh_token/);
    assert.match(text, /new access token, good for 10 minutes/);
    assert.match(text, /the old one is retired/);
    assert.match(text, /GET http\S+\/v1\/users\/me[^]*200 OK/);
    assert.doesNotMatch(await person.page.content(), /toa_(at|rt|ac)_[\w-]{8}/);
  }
  await person.look('customapp-stayed');
});

story('a person disconnects in the app: the API refuses it, and the site lists it no more', async (person) => {
  await connect(person);
  await person.press('Disconnect');
  assert.equal(await person.heading(), 'Goodbye, Alice');
  assert.match(await person.text(), /token_type_hint = refresh_token[^]*200 OK[^]*401 Unauthorized/);
  assert.doesNotMatch(await person.page.content(), /toa_(at|rt|ac)_[\w-]{8}/);
  await person.look('customapp-disconnected');
  await person.open(`${example.origin}/apps`);
  assert.match(await person.text(), /No app has access/);
});

story('a person goes from home to the connected apps, disconnects one, goes home and logs out', async (person) => {
  await connect(person);
  await person.open(example.origin);
  assert.equal(await person.heading(), 'Hello, Alice');
  await person.look('home');
  await person.press('Apps with access to your account');
  assert.match(await person.text(), /CustomApp[^]*See your name and user id/);
  await person.look('apps');
  await person.press('Disconnect CustomApp');
  assert.match(await person.text(), /No app has access/);

  await person.open(example.customapp);
  await person.press('Stay connected');
  assert.equal(await person.heading(), 'Goodbye, Alice');
  assert.match(await person.text(), /400 Bad Request invalid_grant[^]*401 Unauthorized/);
  await person.look('customapp-ended');

  await person.open(`${example.origin}/apps`);
  await person.press('Back to your account');
  assert.equal(person.page.url(), `${example.origin}/`);
  await person.press('Log out');
  assert.equal(await person.heading(), 'Welcome to Shift');
  await person.look('welcome');
  await person.open(`${example.origin}/apps`);
  await person.logIn(ALICE);
  assert.equal(person.page.url(), `${example.origin}/apps`);
});

story('a client that calls itself a script is shown as text, and asked for at each visit', async (person, t) => {
  const name = '<script>alert(1)</script>';
  const app = await site(t, (_, response) => response.end('<!doctype html><title>App</title><h1>Back</h1>'));
  const redirect_uri = `${app}/callback`;
  const client = await register(example, {
    client_name: name,
    redirect_uris: [redirect_uri],
    application_type: 'native',
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token'],
  });
  const verifier = 'v'.repeat(43);
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier));
  const query = new URLSearchParams({
    response_type: 'code',
    client_id: client.client_id,
    redirect_uri,
    scope: 'profile',
    code_challenge: Buffer.from(digest).toString('base64url'),
    code_challenge_method: 'S256',
  });
  const url = `${example.origin}/v1/oauth2/auth?${query}`;

  await person.open(url);
  await person.logIn(ALICE);
  assert.equal(await person.heading(), `${name} asks for access`);
  await person.look('consent-script');
  await person.press('Allow');
  const code = new URL(person.page.url()).searchParams.get('code');
  const tokens = await fetch(`${example.origin}/v1/oauth2/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'authorization_code',
      client_id: client.client_id,
      redirect_uri,
      code_verifier: verifier,
      code,
    }),
  });
  assert.equal(tokens.status, 200);
  await person.open(url);
  assert.equal(await person.heading(), `${name} asks for access`);
  await person.open(`${example.origin}/apps`);
  assert.equal(await person.page.getByRole('heading', { level: 2 }).innerText(), name);
  await person.look('apps-script');
  await person.press(`Disconnect ${name}`);
  assert.match(await person.text(), /No app has access/);
});

story('the whole way can be gone by keyboard alone', async (person) => {
  const { keyboard } = person.page;
  await person.open(example.customapp);
  await person.tabToAndEnter('Connect my account');
  await person.page.locator('#username:focus').waitFor();
  await keyboard.type(ALICE.name);
  await person.tabTo('Password');
  await keyboard.type(ALICE.password);
  await person.enter();
  await person.tabToAndEnter('Allow');
  assert.equal(await person.heading(), 'Hello, Alice');
  await person.tabToAndEnter('Stay connected');
  await person.tabTo('How it was connected');
  await keyboard.press('Enter');
  await person.page.getByText('checked state and issuer').waitFor();
  await person.open(example.origin);
  await person.tabToAndEnter('Apps with access to your account');
  await person.tabToAndEnter('Disconnect CustomApp');
  assert.match(await person.text(), /No app has access/);
  await person.tabToAndEnter('Back to your account');
  await person.tabToAndEnter('Log out');
  assert.equal(await person.heading(), 'Welcome to Shift');
});

story('a form of another site changes nothing, and is told apart from an error', async (person) => {
  await connect(person);
  // The provider on the other port is the nearest there is: the same host, and so the same cookies.
  await person.open(`${example.origin}/login`);
  await person.page.locator('form').evaluate((form, action) => {
    form.action = action;
    form.submit();
  }, `${example.customapp}/disconnect`);
  await person.page.waitForURL(`${example.customapp}/disconnect`);
  assert.equal(await person.heading(), 'Nothing was changed');
  await person.look('customapp-refused');
  await person.press('Back');
  assert.equal(await person.heading(), 'Hello, Alice');

  await person.open(`${example.customapp}/`);
  await person.page.locator('form').evaluate((form, action) => {
    form.action = action;
    form.submit();
  }, `${example.origin}/logout`);
  await person.page.waitForURL(`${example.origin}/logout`);
  await person.look('refused');
  await person.open(example.origin);
  assert.equal(await person.heading(), 'Hello, Alice');
});

story('what cannot be answered to an app is a calm page', async (person) => {
  await person.open(`${example.origin}/v1/oauth2/auth?client_id=nobody&response_type=code`);
  assert.equal(await person.heading(), 'This does not work');
  await person.look('error');
});

test('the looks notice what they are there for', { timeout: 60_000 }, async (t) => {
  const pages = {
    wide: '<p style="width: 2000px">wide</p>',
    pale: '<p style="color: #777; background: #888">pale</p>',
    script: '<script>alert(1)</script><p>script</p>',
    broken: '<p>broken</p><img src="/nothing.png" alt="nothing">',
  };
  const origin = await site(t, (url, response) => {
    const page = pages[url.slice(1)];
    if (!page) return response.writeHead(404).end();
    response.setHeader('content-security-policy', "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'");
    response.end(`<!doctype html><html lang="en"><meta charset="utf-8"><title>Page</title>
      <style>html { color-scheme: light dark; } body { background: light-dark(#fff, #000); }</style>
      <main><h1>Page</h1>${page}</main>`);
  });
  const expected = {
    wide: /scrolls sideways/,
    pale: /color-contrast/,
    script: /policy: script-src/,
    broken: /404/,
  };
  for (const [name, complaint] of Object.entries(expected)) {
    const person = await Person.at(browser);
    t.after(() => person.context.close());
    await person.open(`${origin}/${name}`);
    await assert.rejects(person.look(`planted-${name}`), complaint);
  }
});

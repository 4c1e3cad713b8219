// A person at a browser, and what has to hold for every page they see.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { mkdtempSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
export const screenshots = mkdtempSync(join(tmpdir(), 'screenshots-'));

const WIDTHS = [360, 1100];
const SCHEMES = ['light', 'dark'];

/** Each browser has a profile of its own, which is gone with it. */
export function launch() {
  return chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

export class Person {
  /** What no page may ever cause: errors, violations of its own policy, dialogs. */
  troubles = [];

  static async at(browser) {
    const person = new Person();
    person.context = await browser.newContext({ viewport: { width: WIDTHS[1], height: 800 } });
    person.context.setDefaultTimeout(5_000);
    await person.context.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', (event) => {
        console.error(`policy: ${event.violatedDirective} forbids ${event.blockedURI}`);
      });
    });
    person.page = await person.context.newPage();
    person.watch(person.page);
    return person;
  }

  watch(page) {
    const trouble = (what) => this.troubles.push(`${page.url()}: ${what}`);
    page.on('console', (message) => {
      // The browser reports each page that is an answer other than 200, which here some are meant to be.
      const own = message.location().url === page.url() && message.text().startsWith('Failed to load resource');
      if (['error', 'warning'].includes(message.type()) && !own) trouble(message.text());
    });
    page.on('pageerror', (error) => trouble(error));
    page.on('requestfailed', (request) => trouble(`${request.url()} ${request.failure().errorText}`));
    page.on('dialog', (dialog) => {
      trouble(`a dialog says ${dialog.message()}`);
      dialog.dismiss();
    });
  }

  /** Looks at the page as it is now: narrow and wide, light and dark. */
  async look(name) {
    for (const scheme of SCHEMES) {
      await this.page.emulateMedia({ colorScheme: scheme });
      for (const width of WIDTHS) {
        await this.page.setViewportSize({ width, height: 800 });
        const path = join(screenshots, `${name}-${width}-${scheme}.png`);
        await this.page.screenshot({ path, fullPage: true });
        const seen = await this.page.evaluate(() => ({
          scrolls: document.documentElement.scrollWidth - document.documentElement.clientWidth,
          ground: getComputedStyle(document.body).backgroundColor.match(/\d+/g).slice(0, 3).map(Number),
          title: document.title,
        }));
        assert.equal(seen.scrolls, 0, `${name} scrolls sideways at ${width} px`);
        assert.equal(Math.max(...seen.ground) < 64, scheme === 'dark', `${name} has the ground ${seen.ground} in ${scheme}`);
        assert.ok(seen.title, `${name} has a title`);
        const { violations, contrasts } = await this.audit();
        assert.deepEqual(violations, [], `${name} at ${width} px, ${scheme}`);
        assert.ok(contrasts > 0, `${name}: some contrast was measured`);
      }
    }
    this.isUntroubled();
  }

  isUntroubled() {
    assert.deepEqual(this.troubles, []);
  }

  /**
   * What axe-core says about the page. It runs beside the page's scripts and not among them: so the page's policy, which
   * allows none, stays in force.
   */
  async audit() {
    const session = await this.context.newCDPSession(this.page);
    const { frameTree } = await session.send('Page.getFrameTree');
    const world = { frameId: frameTree.frame.id, worldName: 'axe' };
    const { executionContextId: contextId } = await session.send('Page.createIsolatedWorld', world);
    const run = async (expression) => {
      const answer = await session.send('Runtime.evaluate', {
        expression,
        contextId,
        awaitPromise: true,
        returnByValue: true,
      });
      if (answer.exceptionDetails) throw new Error(answer.exceptionDetails.exception.description);
      return answer.result.value;
    };
    await run(`${axe};undefined`);
    const found = await run(`axe.run(document).then((found) => ({
      violations: found.violations.map((rule) => rule.id + ': ' + rule.nodes.map((node) => node.html).join(' ')),
      contrasts: found.passes.filter((rule) => rule.id === 'color-contrast').flatMap((rule) => rule.nodes).length,
    }))`);
    await session.detach();
    return found;
  }

  async open(url) {
    await this.page.goto(url);
  }

  /** Presses a button or follows a link, and waits for the page that comes. */
  async press(name) {
    const { page } = this;
    const control = page.getByRole('button', { name, exact: true }).or(page.getByRole('link', { name, exact: true }));
    await Promise.all([page.waitForEvent('load'), control.click()]);
  }

  /** The same by keyboard. */
  async tabToAndEnter(name) {
    await this.tabTo(name);
    await this.enter();
  }

  async enter() {
    await Promise.all([this.page.waitForEvent('load'), this.page.keyboard.press('Enter')]);
  }

  async logIn({ name, password }) {
    await this.page.getByLabel('Name').fill(name);
    await this.page.getByLabel('Password').fill(password);
    await this.press('Log in');
  }

  /** Presses Tab until the focus is on what has this name, and can be seen there. */
  async tabTo(name) {
    const passed = [];
    for (let times = 0; times < 20; times++) {
      await this.page.keyboard.press('Tab');
      const focused = await this.page.evaluate(() => {
        const element = document.activeElement;
        const { outlineStyle, outlineWidth } = getComputedStyle(element);
        const name = element.ariaLabel ?? element.labels?.[0]?.innerText ?? element.innerText;
        return { name, visible: outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2 };
      });
      passed.push(focused.name);
      if (focused.name !== name) continue;
      assert.ok(focused.visible, `the focus on ${name} can be seen`);
      return;
    }
    assert.fail(`Tab leads to ${passed.join(', ')} and not to ${name}`);
  }

  heading() {
    return this.page.getByRole('heading', { level: 1 }).innerText();
  }

  text() {
    return this.page.locator('body').innerText();
  }
}

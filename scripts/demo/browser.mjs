// What the tests of the page share: headless Chromium, the page's server, and an eye on what the page asks for.
// CHROMIUM is the browser's program.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const { chromium } = createRequire(join(root, '.cache/demo/node_modules/'))('playwright-core');
export const DESKTOP = { viewport: { width: 1000, height: 760 } };
export const PHONE = { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2, colorScheme: 'dark' };
const LIMIT = 60_000; // milliseconds for anything that the page does; a busy machine takes a second

export let browser;
export let origin;
const servers = [];

// start is for the hook before a file's tests, stop for the one after them.
export async function start() {
  // The container's root user has no sandbox to drop into; the page is our own.
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
  origin = await startServer(join(root, 'bin/page-server'), ['-port', '0', '-folder', join(root, 'bin/demo')], /(http:\S+)\//);
}

export async function stop() {
  servers.forEach((server) => server.kill());
  await browser?.close();
}

// startServer returns the address that the server prints.
export function startServer(program, args, address) {
  const server = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, PYTHONUNBUFFERED: '1' } });
  servers.push(server);
  return new Promise((resolve, reject) => {
    let said = '';
    server.stdout.on('data', (text) => {
      said += text;
      const found = address.exec(said);
      if (found) resolve(found[1]);
    });
    server.on('error', reject);
    server.on('exit', (code) => reject(new Error(`${program} ended with ${code}: ${said}`)));
  });
}

// visit opens the page and collects what it asks for and what it complains about.
export async function visit(t, url, options, prepare) {
  const context = await browser.newContext(options);
  t.after(() => context.close());
  const page = await context.newPage();
  page.setDefaultTimeout(LIMIT);
  const [requests, complaints] = [[], []];
  context.on('request', (request) => requests.push(request.url()));
  page.on('websocket', (socket) => requests.push(socket.url()));
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(error.message));
  await prepare?.(page);
  await page.goto(url);
  await settled(page);
  return { page, requests, complaints };
}

export async function settled(page) {
  await page.waitForSelector('#page[aria-busy=false]', { state: 'attached' });
}

export function assertQuiet({ requests, complaints }, address) {
  assert.deepEqual(complaints, []);
  assert.ok(requests.length > 0);
  assert.deepEqual(requests.filter((url) => !url.startsWith(`${address}/`)), []);
}

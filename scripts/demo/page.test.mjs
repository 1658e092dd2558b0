// The page in headless Chromium. scripts/demo/test runs it: CHROMIUM is the browser, PICTURE, if set, the file of a screenshot.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { DESKTOP, PHONE, assertQuiet, browser, origin, root, settled, start, startServer, stop, visit } from './browser.mjs';
import { drawings } from './strokes.mjs';

before(start);
after(stop);

// answers returns what each network reads, '–' for nothing.
async function answers(page) {
  await settled(page);
  return page.evaluate(() => Object.fromEntries([...document.querySelectorAll('.network')].map(
    (card) => [card.dataset.network, card.querySelector('.answer').textContent])));
}

// draw moves the mouse along the strokes.
async function draw(page, strokes) {
  const box = await page.locator('#drawing').boundingBox();
  const at = ([x, y]) => [box.x + x * box.width, box.y + y * box.height];
  for (const [first, ...rest] of strokes) {
    await page.mouse.move(...at(first));
    await page.mouse.down();
    for (const point of rest) await page.mouse.move(...at(point));
    await page.mouse.up();
  }
}

test('both networks read the digits that are drawn, and nothing leaves the origin', async (t) => {
  const visited = await visit(t, `${origin}/`, DESKTOP);
  const { page } = visited;
  const all = drawings();
  const wrong = { E1: [], E2: [] };
  const read = { E1: new Set(), E2: new Set() };
  for (const { digit, name, strokes } of all) {
    await page.click('#clear');
    await draw(page, strokes);
    for (const [network, answer] of Object.entries(await answers(page))) {
      if (answer === String(digit)) read[network].add(digit);
      else wrong[network].push(`${name}: ${answer}`);
    }
  }
  for (const network of ['E1', 'E2']) {
    t.diagnostic(`${network}: ${all.length - wrong[network].length} of ${all.length} right ${wrong[network].join('; ')}`);
  }
  for (const network of ['E1', 'E2']) {
    assert.ok(wrong[network].length <= all.length / 10, `${network} reads wrongly: ${wrong[network].join('; ')}`);
    assert.equal(read[network].size, 10, `${network} reads only ${[...read[network]]}`);
  }
  assertQuiet(visited, origin);
});

test('ten bars show the probabilities, which sum to one, and the status line says the answer', async (t) => {
  const { page } = await visit(t, `${origin}/`, DESKTOP);
  await draw(page, drawings().find(({ digit }) => digit === 3).strokes);
  await answers(page);
  const bars = await page.evaluate(() => [...document.querySelectorAll('.network')].map((card) => [...card.querySelectorAll('.bars li')].map((row) => ({
    label: row.querySelector('.label').textContent,
    share: parseFloat(row.querySelector('.share').textContent),
    width: row.querySelector('.fill').getBoundingClientRect().width / row.querySelector('.track').getBoundingClientRect().width,
  }))));
  assert.equal(bars.length, 2);
  for (const rows of bars) {
    assert.equal(rows.map((row) => row.label).join(''), '0123456789');
    const sum = rows.reduce((total, row) => total + row.share, 0);
    assert.ok(Math.abs(sum - 100) <= 0.5, `the bars sum to ${sum} %`);
    for (const row of rows) assert.ok(Math.abs(100 * row.width - row.share) < 1.5, `${row.share} % is drawn as ${100 * row.width} %`);
  }
  await page.waitForFunction(() => /^E1 reads \d \(.* %\), E2 reads \d \(.* %\)\.$/.test(document.getElementById('status').textContent));
  if (process.env.PICTURE) {
    mkdirSync(dirname(process.env.PICTURE), { recursive: true });
    await page.screenshot({ path: process.env.PICTURE });
  }
});

test('the keyboard draws, undoes and clears', async (t) => {
  const { page } = await visit(t, `${origin}/`, DESKTOP);
  await page.focus('#drawing');
  const press = async (key, times) => { for (let i = 0; i < times; i++) await page.keyboard.press(key); };
  await press('ArrowUp', 9);
  await press('Space', 1);
  await press('ArrowDown', 18);
  await press('Space', 1);
  assert.deepEqual(await answers(page), { E1: '1', E2: '1' });
  // A stroke to the left from the top makes a 7 of nothing: it is undone, and the 1 is back.
  await press('Shift+ArrowRight', 3);
  await press('Space', 1);
  await press('ArrowUp', 5);
  await press('Backspace', 1);
  assert.deepEqual(await answers(page), { E1: '1', E2: '1' });
  await press('Delete', 1);
  assert.deepEqual(await answers(page), { E1: '–', E2: '–' });
  // Tab leads on to the buttons.
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'undo');
});

test('keys do not break a stroke that the pointer draws', async (t) => {
  const visited = await visit(t, `${origin}/`, DESKTOP);
  const { page } = visited;
  const box = await page.locator('#drawing').boundingBox();
  const move = (x, y) => page.mouse.move(box.x + x * box.width, box.y + y * box.height);
  const ink = () => page.evaluate(() => {
    const { data } = document.getElementById('drawing').getContext('2d').getImageData(0, 0, 280, 280);
    return [56, 140, 224].map((x) => [56, 140, 224].map((y) => (data[4 * (y * 280 + x) + 3] ? '#' : '.')).join('')).join(' ');
  });
  const start = async () => {
    await page.focus('#drawing');
    await move(0.2, 0.2);
    await page.mouse.down();
    await move(0.2, 0.5);
  };

  // Space and the arrows wait for the pointer: the stroke goes on, and stays one.
  await start();
  await page.keyboard.press('Space');
  for (let i = 0; i < 8; i++) await page.keyboard.press('ArrowRight');
  await move(0.2, 0.8);
  await page.mouse.up();
  await settled(page);
  assert.equal(await ink(), '### ... ...');
  await page.keyboard.press('Backspace');
  assert.equal(await ink(), '... ... ...');

  // What is undone or cleared does not go on: neither alone nor as part of the stroke before it.
  for (const key of ['Backspace', 'Delete', 'Control+z']) {
    await start();
    await page.keyboard.press(key);
    await move(0.2, 0.8);
    await page.mouse.up();
    assert.equal(await ink(), '... ... ...', key);
  }
  await start();
  await page.mouse.up();
  await move(0.8, 0.2);
  await page.mouse.down();
  await move(0.8, 0.5);
  await page.keyboard.press('Backspace');
  await move(0.8, 0.8);
  await page.mouse.up();
  assert.equal(await ink(), '##. ... ...');
  assertQuiet(visited, origin);
});

test('on a phone a finger draws, without scrolling, and nothing is too wide', async (t) => {
  const visited = await visit(t, `${origin}/`, PHONE);
  const { page } = visited;
  const touch = await page.context().newCDPSession(page);
  const box = await page.locator('#drawing').boundingBox();
  const { strokes } = drawings().find(({ digit, name }) => digit === 4 && name.includes('upright'));
  for (const stroke of strokes) {
    for (const [i, [x, y]] of stroke.entries()) {
      const touchPoints = [{ x: box.x + x * box.width, y: box.y + y * box.height }];
      await touch.send('Input.dispatchTouchEvent', { type: i ? 'touchMove' : 'touchStart', touchPoints });
    }
    await touch.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] });
  }
  assert.deepEqual(await answers(page), { E1: '4', E2: '4' });
  const layout = await page.evaluate(() => ({ width: document.documentElement.scrollWidth, scrolled: scrollY, dark: getComputedStyle(document.body).backgroundColor }));
  assert.deepEqual(layout, { width: 360, scrolled: 0, dark: 'rgb(16, 19, 23)' });
  await page.waitForFunction(() => document.getElementById('status').textContent.startsWith('E1 reads 4'));
  if (process.env.PICTURE) await page.screenshot({ path: process.env.PICTURE.replace(/\.png$/, '-phone.png') });
  assertQuiet(visited, origin);
});

test('a pen draws', async (t) => {
  const { page } = await visit(t, `${origin}/`, DESKTOP);
  const pen = await page.context().newCDPSession(page);
  const box = await page.locator('#drawing').boundingBox();
  const [stroke] = drawings().find(({ digit }) => digit === 7).strokes;
  const place = ([x, y]) => ({ x: box.x + x * box.width, y: box.y + y * box.height, pointerType: 'pen', button: 'left', buttons: 1 });
  await pen.send('Input.dispatchMouseEvent', { type: 'mousePressed', clickCount: 1, ...place(stroke[0]) });
  for (const point of stroke.slice(1)) await pen.send('Input.dispatchMouseEvent', { type: 'mouseMoved', ...place(point) });
  await pen.send('Input.dispatchMouseEvent', { type: 'mouseReleased', clickCount: 1, ...place(stroke.at(-1)), buttons: 0 });
  assert.deepEqual(await answers(page), { E1: '7', E2: '7' });
});

test('what fails is shown, and what can go on does', async (t) => {
  const one = drawings().find(({ digit }) => digit === 1).strokes;
  const alert = (page) => page.locator('#failure:visible').textContent();

  await t.test('a missing graph', async (t) => {
    const { page } = await visit(t, `${origin}/`, DESKTOP, (page) => page.route('**/e2.onnx', (route) => route.fulfill({ status: 404 })));
    assert.match(await alert(page), /models\/e2\.onnx: the server answers 404/);
    await draw(page, one);
    const { E1, E2 } = await answers(page);
    assert.equal(E1, '1');
    assert.match(E2, /cannot answer/);
  });

  await t.test('a truncated graph', async (t) => {
    const part = readFileSync(join(root, 'bin/demo/models/e1.onnx')).subarray(0, 5000);
    const { page } = await visit(t, `${origin}/`, DESKTOP, (page) => page.route('**/e1.onnx', (route) => route.fulfill({ body: part })));
    assert.match(await alert(page), /models\/e1\.onnx: not an ONNX file, or a damaged one/);
  });

  for (const [what, path] of [['no runtime', '**/ort.wasm.min.mjs'], ['no module of the page', '**/drawing.mjs']]) {
    await t.test(what, async (t) => {
      const context = await browser.newContext(DESKTOP);
      t.after(() => context.close());
      const page = await context.newPage();
      await page.route(path, (route) => route.fulfill({ status: 404 }));
      await page.goto(`${origin}/`);
      await page.waitForFunction(() => /module/.test(document.getElementById('failure').textContent) && !document.getElementById('failure').hidden);
      if (what !== 'no runtime') return;
      // The page is done, though nothing answers; a drawing changes nothing of that.
      await page.waitForSelector('#page[aria-busy=false]', { state: 'attached', timeout: 10_000 });
      await draw(page, one);
      assert.equal(await page.textContent('#status'), 'No network could be loaded.');
      assert.equal(await page.getAttribute('#page', 'aria-busy'), 'false');
    });
  }
});

test("Python's file server serves it as well, from a folder below its root", async (t) => {
  const address = await startServer('python3', ['-m', 'http.server', '--bind', '127.0.0.1', '--directory', join(root, 'bin'), '0'], /\((http:\S+)\/\)/);
  const visited = await visit(t, `${address}/demo/`, DESKTOP);
  await draw(visited.page, drawings().find(({ digit }) => digit === 2).strokes);
  assert.deepEqual(await answers(visited.page), { E1: '2', E2: '2' });
  assertQuiet(visited, `${address}/demo`);
});

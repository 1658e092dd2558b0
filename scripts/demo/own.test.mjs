// The card “your own picture” in headless Chromium, beside bin/infer: the same labels, the same probabilities. The graphs are
// trained here, on pictures made here. scripts/demo/test runs it: CHROMIUM is the browser, PICTURE, if set, names screenshots.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { DESKTOP, PHONE, assertQuiet, browser, origin, root, start, stop, visit } from './browser.mjs';
import { KINDS, identity, network, png, shape, turned } from './own.pictures.mjs';

const CLOSE = 1e-5; // of a probability: two builds of onnxruntime sum in different orders
const BATCH = 24; // pictures that the page keeps
const folder = mkdtempSync(join(tmpdir(), 'own-'));
const at = (name) => join(folder, name);

before(async () => {
  await start();
  for (const [set, channels] of [['colours', 3], ['greys', 1]]) {
    for (const [k, kind] of KINDS.entries()) {
      for (let i = 0; i < 30; i++) {
        const into = join(folder, set, i < 24 ? 'train' : 'test', kind);
        mkdirSync(into, { recursive: true });
        writeFileSync(join(into, `${kind} ${i}.png`), shape(kind, 40 + 7 * i, 140 - 3 * ((k + 5 * i) % 30), 100 * k + i, channels));
      }
    }
  }
  train('colour', [3, 32, 40], '-data', 'colours', '-resize', '32x40', '-fit', 'pad', '-filter', 'bicubic', '-pixels', 'imagenet');
  train('grey', [1, 28, 28], '-data', 'greys', '-resize', '28', '-pixels', '0-1');
  command('export', '-run', 'runs/grey', '-o', 'other.onnx', '-verify', 'none', '-input', 'uint8', '-softmax', '-batch', '4');
  // A graph without a record, as from another exporter: the keys are called otherwise.
  writeFileSync(at('stranger.onnx'), Buffer.from(readFileSync(at('colour.onnx'), 'latin1').replaceAll('slipway.', 'another.'), 'latin1'));
  writeFileSync(at('half.png'), readFileSync(at('colours/test/disc/disc 24.png')).subarray(0, 2000));
  writeFileSync(at('letter.jpg'), 'Dear network, this is no picture.');
  writeFileSync(at('half.onnx'), readFileSync(at('colour.onnx')).subarray(0, 3000));
  writeFileSync(at('two.onnx'), identity([['left', [1, 3]], ['right', [1, 3]]]));
  writeFileSync(at('ten.onnx'), identity([['features', [1, 10]]]));
  writeFileSync(at('glass.png'), png(90, 50, 4, (x, y) => [250 - x, 2 * y, 3 * x, (4 * x + y) % 256]));
  await photographs();
});

after(async () => {
  await stop();
  rmSync(folder, { recursive: true });
});

function command(name, ...args) {
  const { status, stdout, stderr } = spawnSync(join(root, 'bin', name), args, { cwd: folder, encoding: 'utf8', env: { ...process.env, ONNXRUNTIME_LIB: library() } });
  assert.equal(status, 0, `${name} ${args.join(' ')}: ${stderr}`);
  return stdout;
}

// library is the file that make setup brought, for programs that run outside of the checkout.
function library() {
  const found = readdirSync(join(root, '.cache/onnxruntime'), { recursive: true }).filter((name) => /libonnxruntime\.(so|dylib)[.\d]*$|libonnxruntime[.\d]*\.dylib$/.test(name));
  assert.ok(found.length > 0, 'no onnxruntime library: make setup brings it');
  return process.env.ONNXRUNTIME_LIB || join(root, '.cache/onnxruntime', found[0]);
}

function train(name, input, ...args) {
  writeFileSync(at(`${name}.json`), JSON.stringify(network(name, input, KINDS.length)));
  command('train', '-network', `${name}.json`, '-epochs', '16', '-lr', '0.003', '-batch', '16', '-runs', 'runs', ...args);
  command('export', '-run', `runs/${name}`, '-o', `${name}.onnx`, '-verify', 'none');
}

// photographs are JPEGs of Chromium's own encoder: one as it is, one that a camera on its side would write.
async function photographs() {
  const page = await browser.newPage();
  const jpeg = Buffer.from(await page.evaluate(async () => {
    const canvas = new OffscreenCanvas(733, 551);
    const context = canvas.getContext('2d');
    const light = context.createLinearGradient(0, 0, 733, 551);
    light.addColorStop(0, '#204060');
    light.addColorStop(1, '#e0b060');
    context.fillStyle = light;
    context.fillRect(0, 0, 733, 551);
    context.fillStyle = '#f03020';
    context.beginPath();
    context.arc(250, 200, 140, 0, 7);
    context.fill();
    const blob = await canvas.convertToBlob({ type: 'image/jpeg', quality: 0.8 });
    return [...new Uint8Array(await blob.arrayBuffer())];
  }));
  await page.close();
  writeFileSync(at('photograph.jpg'), jpeg);
  for (const orientation of [3, 6, 8]) writeFileSync(at(`on its side ${orientation}.jpg`), turned(jpeg, orientation));
}

// files lists the pictures of every kind: those made here, and those that package picture is tested with.
function files() {
  const golden = join(root, 'dataset/picture/testdata/pictures');
  const all = ['photograph.jpg', 'on its side 3.jpg', 'on its side 6.jpg', 'on its side 8.jpg', 'glass.png'].map(at);
  for (const kind of KINDS) for (const name of readdirSync(at(`colours/test/${kind}`)).sort()) all.push(at(`colours/test/${kind}/${name}`));
  for (const name of readdirSync(golden).sort()) all.push(join(golden, name));
  return all;
}

// settle waits until nothing of the card is being read.
async function settle(page) {
  await page.waitForSelector('#own[aria-busy=false]', { state: 'attached' });
}

async function choose(page, graph, pictures = []) {
  if (graph) await page.setInputFiles('#own-graph', at(graph));
  if (pictures.length) await page.setInputFiles('#own-pictures', pictures);
  await settle(page);
}

// shown is what the page says of each picture, by its file's name.
function shown(page) {
  return page.evaluate(() => Object.fromEntries([...document.querySelectorAll('#own-answers > li')].map((row) => [row.dataset.file, {
    why: row.querySelector('.why').textContent,
    top: [...row.querySelectorAll('.bars li')].map((bar) => ({
      class: Number(bar.dataset.class), name: bar.querySelector('.label').textContent, probability: Number(bar.dataset.probability),
    })),
  }])));
}

// told is what infer says of each picture.
function told(graph, pictures, ...flags) {
  const lines = command('infer', '-model', graph, '-json', '-top', '5', ...flags, ...pictures).trim().split('\n').map((line) => JSON.parse(line));
  return Object.fromEntries(lines.map(({ file, top }) => [basename(file), top]));
}

// assertAlike compares the page's answers with infer's, and returns the largest difference.
function assertAlike(page, infer) {
  let largest = 0;
  assert.deepEqual(Object.keys(page).sort(), Object.keys(infer).sort());
  for (const [file, top] of Object.entries(infer)) {
    assert.equal(page[file].why, '', file);
    assert.equal(page[file].top.length, top.length, file);
    const byClass = new Map(page[file].top.map((candidate) => [candidate.class, candidate]));
    for (const { class: index, name, probability } of top) {
      assert.equal(byClass.get(index)?.name, name, `${file}: class ${index}`);
      const difference = Math.abs(byClass.get(index).probability - probability);
      assert.ok(difference <= CLOSE, `${file}: ${name} is ${byClass.get(index).probability} on the page, ${probability} in infer`);
      largest = Math.max(largest, difference);
    }
    const [first, second] = top;
    if (first.probability - second.probability > CLOSE) assert.equal(page[file].top[0].class, first.class, file);
  }
  return largest;
}

const graphs = [
  ['colour.onnx', [], 'padded, bicubic, normalised by channel'],
  ['grey.onnx', [], 'cropped, 0 to 1, of one channel'],
  ['other-batch4-softmax-uint8.onnx', [], 'of bytes, in batches of four, with its own softmax'],
];
for (const [graph, flags, what] of graphs) {
  test(`${graph} answers as infer does: ${what}`, async (t) => {
    const visited = await visit(t, `${origin}/`, DESKTOP);
    const { page } = visited;
    const all = files();
    const infer = told(graph, all, ...flags);
    await choose(page, graph);
    let largest = 0;
    for (let from = 0; from < all.length; from += BATCH) {
      const part = all.slice(from, from + BATCH);
      await page.click('#own-clear');
      await choose(page, graph, part);
      largest = Math.max(largest, assertAlike(await shown(page), Object.fromEntries(part.map((file) => [basename(file), infer[basename(file)]]))));
    }
    t.diagnostic(`${all.length} pictures; the largest difference of a probability is ${largest}`);
    assert.ok(new Set(Object.values(infer).map(([{ class: index }]) => index)).size > 1, 'all pictures are taken for the same: nothing is compared');
    assertQuiet(visited, origin);
  });
}

test('a graph and pictures are dropped, a picture is pasted', async (t) => {
  const visited = await visit(t, `${origin}/`, DESKTOP);
  const { page } = visited;
  const give = (names, type) => page.evaluate(([files, type]) => {
    const transfer = new DataTransfer();
    for (const [name, bytes] of files) transfer.items.add(new File([new Uint8Array(bytes)], name));
    const options = { bubbles: true, cancelable: true };
    const event = type === 'paste' ? new ClipboardEvent(type, { ...options, clipboardData: transfer }) : new DragEvent(type, { ...options, dataTransfer: transfer });
    return !document.getElementById('drawing').dispatchEvent(event); // anywhere on the page
  }, [names.map((name) => [basename(name), [...readFileSync(at(name))]]), type]);
  assert.equal(await give(['photograph.jpg', 'colour.onnx'], 'dragover'), true, 'the browser is left to handle the drag');
  assert.match(await page.getAttribute('#own', 'class'), /over/);
  assert.equal(await give(['photograph.jpg', 'colour.onnx', 'glass.png'], 'drop'), true, 'the browser is left to open the file');
  assert.equal(await page.getAttribute('#own', 'class'), 'own');
  await settle(page);
  assert.equal(await give(['on its side 6.jpg'], 'paste'), true);
  await settle(page);
  const names = ['photograph.jpg', 'glass.png', 'on its side 6.jpg'];
  assertAlike(await shown(page), told('colour.onnx', names));
  assert.match(await page.textContent('#own-status'), /^on its side 6\.jpg: .+ \(.+ %\)\.$/);
  // Another graph answers the same pictures anew.
  await choose(page, 'grey.onnx');
  assertAlike(await shown(page), told('grey.onnx', names));
  assertQuiet(visited, origin);
});

test('of a graph without a record, what is assumed is said and can be chosen', async (t) => {
  const { page } = await visit(t, `${origin}/`, DESKTOP);
  const names = ['photograph.jpg', 'glass.png'];
  await choose(page, 'stranger.onnx', names.map(at));
  assert.match(await page.textContent('#own-assumption'), /no record.*assumed/s);
  assertAlike(await shown(page), told('stranger.onnx', names, '-resize', '32x40'));
  await page.selectOption('#own-pixels', '0-1');
  await page.selectOption('#own-fit', 'squash');
  await page.selectOption('#own-filter', 'bicubic');
  await settle(page);
  assertAlike(await shown(page), told('stranger.onnx', names, '-resize', '32x40', '-fit', 'squash', '-filter', 'bicubic', '-pixels', '0-1'));
  await page.selectOption('#own-pixels', '-1-1');
  await settle(page);
  assertAlike(await shown(page), told('stranger.onnx', names, '-resize', '32x40', '-fit', 'squash', '-filter', 'bicubic', '-pixels', '0.5'));
  await choose(page, 'colour.onnx');
  assert.equal(await page.isVisible('#own-assumed'), false);
  assertAlike(await shown(page), told('colour.onnx', names));
});

test('what cannot be read is told in words, and the rest is answered', async (t) => {
  const visited = await visit(t, `${origin}/`, DESKTOP);
  const { page } = visited;
  const failure = () => page.textContent('#own-failure:visible');
  await choose(page, null, [at('letter.jpg')]);
  assert.equal(await page.textContent('#own-status'), 'Now choose a graph.');
  for (const [graph, words] of [
    ['half.onnx', /^half\.onnx: not an ONNX file, or a damaged one/], ['letter.jpg', /^letter\.jpg: not an ONNX file/],
    ['two.onnx', /takes 2 inputs: “left” \(float32 1×3\), “right”/],
  ]) {
    await choose(page, graph);
    assert.match(await failure(), words);
  }
  await choose(page, 'colour.onnx', [at('half.png'), at('photograph.jpg')]);
  assert.equal(await page.isVisible('#own-failure'), false);
  const answers = await shown(page);
  assert.match(answers['letter.jpg'].why, /Dear network.*PNG, JPEG, GIF, BMP, TIFF and WebP can be read/);
  assert.match(answers['half.png'].why, /PNG: .*cut off/);
  assert.equal(answers['photograph.jpg'].why, '');
  assert.equal(answers['photograph.jpg'].top.length, 3);
  assert.match(await page.textContent('#own-status'), /2 of 3 could not be answered/);
  await choose(page, 'ten.onnx');
  assert.match((await shown(page))['photograph.jpg'].why, /wrong shape: the graph's input “features” is 1×10, the picture 3×551×733/);
  // More pictures than are kept.
  await choose(page, 'grey.onnx', [...files().slice(5, 5 + BATCH), at('photograph.jpg')]);
  assert.match(await failure(), /24 pictures are kept; 4 others were left out/);
  assert.equal(Object.keys(await shown(page)).length, BATCH);
  await page.click('#own-clear');
  assert.deepEqual(await shown(page), {});
  assert.equal(await page.isVisible('#own-clear'), false);
  assertQuiet(visited, origin);
});

test('a page whose worker or decoder does not load says so, and hangs nowhere', async (t) => {
  for (const [path, words] of [['**/worker.mjs', /worker could not be loaded/], ['**/wasm_exec.mjs', /worker could not be loaded/], ['**/decoder.wasm', /decoder\.wasm: the server answers 404/]]) {
    await t.test(path, async (t) => {
      const { page } = await visit(t, `${origin}/`, DESKTOP, (page) => page.context().route(path, (route) => route.fulfill({ status: 404 })));
      await choose(page, 'colour.onnx', [at('photograph.jpg')]);
      assert.match(await page.textContent('#own'), words);
    });
  }
});

test('a worker that has failed is started anew', async (t) => {
  const { page } = await visit(t, `${origin}/`, DESKTOP);
  await choose(page, 'colour.onnx', [at('photograph.jpg')]);
  const [worker] = page.workers();
  const closed = worker.waitForEvent('close');
  await worker.evaluate(() => { setTimeout(() => { throw new Error('out of memory'); }); });
  await closed;
  await choose(page, null, [at('glass.png')]);
  assertAlike(await shown(page), told('colour.onnx', ['photograph.jpg', 'glass.png']));
});

test('graphs that are chosen one after the other: the last one answers', async (t) => {
  const { page } = await visit(t, `${origin}/`, DESKTOP);
  await page.setInputFiles('#own-pictures', files().slice(0, 12));
  for (const graph of ['grey.onnx', 'two.onnx', 'grey.onnx', 'colour.onnx']) await page.setInputFiles('#own-graph', at(graph));
  await settle(page);
  assertAlike(await shown(page), told('colour.onnx', files().slice(0, 12)));
  assert.equal(await page.isVisible('#own-failure'), false);
});

test('the keyboard reaches all of the card', async (t) => {
  const { page } = await visit(t, `${origin}/`, DESKTOP);
  // Playwright must stand in for the system's dialogue well before it opens.
  const chosen = page.waitForEvent('filechooser');
  await choose(page, 'stranger.onnx', [at('photograph.jpg')]);
  await page.focus('#clear');
  const reached = [];
  for (let i = 0; i < 6; i++) {
    await page.keyboard.press('Tab');
    reached.push(await page.evaluate(() => document.activeElement.id));
  }
  assert.deepEqual(reached, ['own-graph', 'own-pictures', 'own-clear', 'own-pixels', 'own-fit', 'own-filter']);
  await page.focus('#own-graph');
  await page.keyboard.press('Shift+Tab');
  await page.keyboard.press('Tab');
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement.parentElement).outlineStyle);
  assert.equal(outline, 'solid');
  await page.keyboard.press('Enter');
  assert.equal((await chosen).isMultiple(), false);
});

test("at a phone's width nothing is too wide, whatever names say", async (t) => {
  const long = at(`${'a very long name without an end '.repeat(5).replaceAll(' ', '_')}.png`);
  writeFileSync(long, readFileSync(at('glass.png')));
  for (const [options, suffix] of [[PHONE, '-own-phone.png'], [DESKTOP, '-own.png']]) {
    const visited = await visit(t, `${origin}/`, options);
    const { page } = visited;
    await choose(page, 'stranger.onnx', [long, at('letter.jpg')]);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), options.viewport.width);
    if (!process.env.PICTURE) continue;
    await page.click('#own-clear');
    await choose(page, 'colour.onnx', ['disc', ...KINDS].map((kind, i) => at(`colours/test/${kind}/${kind} ${i ? 27 : 29}.png`)));
    mkdirSync(dirname(process.env.PICTURE), { recursive: true });
    await page.locator('#own').screenshot({ path: process.env.PICTURE.replace(/\.png$/, suffix) });
  }
});

// The page: a drawing becomes a picture, and every network's answer to it is shown.

import { Drawing } from './drawing.mjs';
import { loadModel } from './model.mjs';
import { OwnPicture } from './own.mjs';
import { SIDE, toPicture } from './preprocess.mjs';
import { loadRuntime } from './runtime.mjs';

const NETWORKS = [
  { name: 'E1', file: 'models/e1.onnx', about: 'two convolutions, two dense layers' },
  { name: 'E2', file: 'models/e2.onnx', about: 'the same, with dropout and penalties' },
];
const ANNOUNCE_AFTER = 400; // milliseconds of rest, so that a screen reader does not hear every movement

const element = (id) => document.getElementById(id);
const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)} %`;

function fail(error) {
  console.error(error);
  const box = element('failure');
  const text = error?.message ?? String(error);
  box.textContent = box.hidden ? text : `${box.textContent}\n${text}`;
  box.hidden = false;
}
addEventListener('error', (event) => fail(event.error ?? event.message));
addEventListener('unhandledrejection', (event) => fail(event.reason));

element('failure').hidden = true;
const state = { loaded: false, changed: false, answering: false, announcement: 0 };
const picture = element('picture').getContext('2d');
const cards = NETWORKS.map(addCard);
const drawing = new Drawing(element('drawing'), element('pen'), changed);
element('undo').addEventListener('click', () => drawing.undo());
element('clear').addEventListener('click', () => drawing.clear());
new OwnPicture(element('own'));

try {
  await load();
} catch (error) {
  fail(error);
  announce();
  element('page').setAttribute('aria-busy', 'false');
}

async function load() {
  const ort = await loadRuntime();
  await Promise.all(cards.map(async (card) => {
    try {
      card.model = await loadModel(ort, card.network.file);
      card.describe();
    } catch (error) {
      card.fail(error);
      fail(error);
    }
  }));
  element('runtime').textContent = `onnxruntime-web ${ort.env.versions.web}, WebAssembly, one thread`;
  state.loaded = true;
  announce();
  await changed();
}

// changed has the networks answer to the newest drawing. What changes while they answer is answered afterwards.
async function changed() {
  state.changed = true;
  if (!state.loaded || state.answering) return;
  element('page').setAttribute('aria-busy', 'true');
  state.answering = true;
  try {
    while (state.changed) {
      await new Promise(requestAnimationFrame); // the pen's line is shown before its answer
      state.changed = false;
      await answer();
    }
  } catch (error) {
    fail(error);
  } finally {
    state.answering = false;
    element('page').setAttribute('aria-busy', 'false');
  }
}

async function answer() {
  const { ink, width, height } = drawing.ink();
  const pixels = toPicture(ink, width, height);
  showPicture(pixels ?? new Uint8Array(SIDE * SIDE));
  for (const card of cards) {
    if (card.model) card.show(pixels && (await card.model.classify(pixels)));
  }
  clearTimeout(state.announcement);
  state.announcement = setTimeout(announce, ANNOUNCE_AFTER);
}

function showPicture(pixels) {
  const image = new ImageData(SIDE, SIDE);
  pixels.forEach((pixel, i) => image.data.set([pixel, pixel, pixel, 255], 4 * i));
  picture.putImageData(image, 0, 0);
}

function announce() {
  if (!cards.some((card) => card.model)) {
    element('status').textContent = 'No network could be loaded.';
    return;
  }
  const said = cards.filter((card) => card.said).map((card) => `${card.network.name} reads ${card.said}`);
  element('status').textContent = said.length ? `${said.join(', ')}.` : 'Ready: draw a digit, about as large as the field.';
}

// addCard puts a network's part of the page in place.
function addCard(network) {
  const card = element('network').content.firstElementChild.cloneNode(true);
  const [title, about, output, bars] = ['h2', '.about', '.answer', '.bars'].map((part) => card.querySelector(part));
  card.dataset.network = network.name;
  card.setAttribute('aria-label', network.name);
  title.textContent = network.name;
  about.textContent = network.about;
  element('networks').append(card);
  let rows = [];

  return {
    network,
    model: null,
    said: '', // the answer in words, empty where there is none

    describe() {
      const { labels, testAccuracy, epochs } = this.model.record;
      const facts = [network.about];
      if (epochs !== null) facts.push(epochs === 1 ? '1 epoch' : `${epochs} epochs`);
      if (testAccuracy !== null) facts.push(`${percent(testAccuracy, 2)} of MNIST's test images right`);
      about.textContent = facts.join('; ');
      rows = labels.map((label) => {
        const row = element('bar').content.firstElementChild.cloneNode(true);
        row.querySelector('.label').textContent = label;
        bars.append(row);
        return row;
      });
      this.show(null);
    },

    show(answer) {
      const { labels } = this.model.record;
      this.said = answer ? `${labels[answer.best]} (${percent(answer.probabilities[answer.best])})` : '';
      output.textContent = answer ? labels[answer.best] : '–';
      output.title = answer ? `answered in ${answer.milliseconds.toFixed(1)} ms` : '';
      rows.forEach((row, i) => {
        const share = answer ? answer.probabilities[i] : 0;
        row.classList.toggle('best', i === answer?.best);
        row.querySelector('.fill').style.width = `${100 * share}%`;
        row.querySelector('.share').textContent = answer ? percent(share) : '';
      });
    },

    fail(error) {
      card.classList.add('failed');
      output.textContent = `cannot answer: ${error.message}`;
    },
  };
}

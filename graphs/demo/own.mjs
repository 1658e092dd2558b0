// The card “your own picture”: a graph of the user's and pictures of theirs, chosen, dropped or pasted, and what the graph
// takes each picture for.

import { RULES, sizeOf, sizingText } from './feed.mjs';
import { shapeText } from './graph.mjs';
import { Runner } from './runner.mjs';

const KEPT = 24; // pictures
const SHOWN = 5; // classes of each
const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)} %`;

export class OwnPicture {
  #parts; // elements by their id, without the prefix own-
  #section;
  #graph = null; // {name, graph, record} of the graph that is open
  #file = null; // of the graph that is open or is being opened
  #runner = null;
  #pictures = []; // the newest first
  #turn = 0; // changes with all that makes answers old
  #working = false;
  #failures = { graph: '', pictures: '' };

  /** @param {HTMLElement} section holds the elements of index.html whose ids begin with own- */
  constructor(section) {
    this.#section = section;
    this.#parts = Object.fromEntries([...section.querySelectorAll('[id^=own-]')].map((part) => [part.id.slice('own-'.length), part]));
    const { graph, pictures, clear, pixels, fit, filter } = this.#parts;
    onFiles(graph, ([file]) => this.#open(file));
    onFiles(pictures, (files) => this.#add(files));
    clear.addEventListener('click', () => this.#clear());
    for (const choice of [pixels, fit, filter]) choice.addEventListener('change', () => this.#again());
    addEventListener('paste', (event) => this.#take(event, event.clipboardData?.files));
    addEventListener('drop', (event) => this.#take(event, event.dataTransfer?.files));
    // The browser would leave the page for a file that is dropped where nobody asks for it.
    addEventListener('dragover', (event) => {
      if (!event.dataTransfer.types.includes('Files')) return;
      event.preventDefault();
      section.classList.add('over');
    });
    for (const end of ['dragleave', 'drop']) addEventListener(end, () => section.classList.remove('over'));
    this.#say();
  }

  #take(event, files) {
    if (!files?.length) return;
    event.preventDefault();
    const graphs = [...files].filter(isGraph);
    this.#add([...files].filter((file) => !isGraph(file)));
    if (graphs.length) this.#open(graphs.at(-1));
    if (graphs.length > 1) this.#fail('graph', `${graphs.length} graphs: one at a time is run, ${graphs.at(-1).name}`);
  }

  async #open(file) {
    this.#runner?.end();
    this.#graph = null;
    this.#file = file;
    this.#fail('graph', '');
    this.#parts.about.textContent = `${file.name} is read …`;
    this.#parts.assumed.hidden = true;
    this.#again();
    const runner = new Runner();
    this.#runner = runner;
    let read;
    try {
      read = await runner.open(file);
    } catch (error) {
      if (this.#runner !== runner) return; // another graph has been chosen
      this.#runner = null;
      this.#file = null;
      this.#parts.about.textContent = '';
      this.#fail('graph', `${file.name}: ${error.message}`);
      runner.end();
      this.#say();
      return;
    }
    if (this.#runner !== runner) return;
    this.#graph = { name: file.name, ...read };
    this.#describe();
    this.#again();
  }

  #describe() {
    const { name, graph, record } = this.#graph;
    const facts = [`${name}: input ${shapeText(graph.input.dims)}`];
    if (record.labels.length) facts.push(`${record.labels.length} classes`);
    if (record.dataSet) facts.push(`trained on ${record.dataSet}`);
    if (record.testAccuracy !== null && record.testImages) facts.push(`${percent(record.testAccuracy, 2)} of ${record.testImages} test images right`);
    facts.push(record.sizing || 'no sizing recorded');
    this.#parts.about.textContent = `${facts.join('; ')}.`;
    const choosesSize = !record.sizing && sizeOf(graph.input.dims) !== null;
    const { assumed, assumption, pixels, fit, filter } = this.#parts;
    pixels.parentElement.hidden = record.known;
    for (const choice of [fit, filter]) choice.parentElement.hidden = !choosesSize;
    assumed.hidden = record.known && !choosesSize;
    assumption.textContent = [
      record.known ? '' : 'The graph has no record of Slipway’s: that its pixels are fed as chosen here, and its classes are numbers, is assumed.',
      choosesSize ? 'It does not say how pictures come to its size: this is assumed.' : '',
    ].join(' ').trim();
  }

  #add(files) {
    const cards = files.map((file) => ({ file, row: this.#card(file), done: false, turn: -1 }));
    this.#pictures.unshift(...cards);
    this.#parts.answers.prepend(...cards.map(({ row }) => row));
    const dropped = this.#pictures.splice(KEPT);
    for (const { row } of dropped) row.remove();
    this.#fail('pictures', dropped.length ? `${KEPT} pictures are kept; ${dropped.length} others were left out.` : '');
    this.#work();
  }

  #clear() {
    this.#runner?.end();
    this.#runner = this.#graph = this.#file = null;
    this.#pictures = [];
    this.#parts.answers.replaceChildren();
    this.#parts.about.textContent = '';
    this.#parts.assumed.hidden = true;
    for (const what of ['graph', 'pictures']) this.#fail(what, '');
    this.#again();
  }

  // again has every picture answered anew.
  #again() {
    this.#turn++;
    this.#work();
  }

  async #work() {
    this.#say();
    if (this.#working) return;
    this.#working = true;
    try {
      for (let picture; this.#graph && (picture = this.#pictures.find(({ turn }) => turn !== this.#turn));) {
        await this.#answer(picture, this.#turn);
      }
    } finally {
      this.#working = false;
      this.#say();
    }
  }

  async #answer(picture, turn) {
    this.#say();
    let answer;
    let failure;
    try {
      if (this.#runner.ended) await this.#restart();
      answer = await this.#runner.answer({ file: picture.file, ...this.#feeding() });
    } catch (error) {
      failure = error;
    }
    if (turn !== this.#turn) return; // the answer is old, or its graph is gone
    picture.turn = turn;
    if (failure) showFailure(picture.row, failure);
    else showAnswer(picture.row, answer);
    picture.said = failure ? '' : `${answer.classes[0].label} (${percent(answer.classes[0].probability)})`;
  }

  // restart opens the graph again, in a new worker, after one has failed.
  async #restart() {
    const runner = new Runner();
    this.#runner = runner;
    await runner.open(this.#file).catch((error) => {
      runner.end(error);
      throw error;
    });
  }

  #feeding() {
    const { graph, record } = this.#graph;
    const { pixels, fit, filter } = this.#parts;
    const size = sizeOf(graph.input.dims);
    return {
      rule: record.known ? record.rule : RULES[pixels.value],
      sizing: record.sizing || (size ? sizingText(size, fit.value, filter.value) : ''),
    };
  }

  #card(file) {
    const row = document.getElementById('own-picture').content.firstElementChild.cloneNode(true);
    row.querySelector('.name').textContent = file.name;
    row.dataset.file = file.name;
    return row;
  }

  // fail shows what is wrong with the graph or with the pictures; nothing is, where the text is empty.
  #fail(what, text) {
    this.#failures[what] = text;
    const { failure } = this.#parts;
    failure.textContent = Object.values(this.#failures).filter(Boolean).join('\n');
    failure.hidden = failure.textContent === '';
  }

  // say writes the status line.
  #say() {
    const waiting = this.#pictures.filter(({ turn }) => turn !== this.#turn).length;
    const opening = this.#file !== null && this.#graph === null;
    const busy = opening || (this.#graph !== null && waiting > 0);
    this.#section.setAttribute('aria-busy', String(busy));
    const { status, answers, clear } = this.#parts;
    answers.classList.toggle('old', waiting > 0 && this.#graph === null);
    clear.hidden = !this.#file && this.#pictures.length === 0;
    status.textContent = this.#words(waiting, opening);
  }

  #words(waiting, opening) {
    if (opening) return 'The graph is being read …';
    if (this.#graph && waiting) return `${waiting === 1 ? 'A picture is' : `${waiting} pictures are`} being read …`;
    if (!this.#graph) return this.#pictures.length ? 'Now choose a graph.' : '';
    if (this.#pictures.length === 0) return 'Now choose pictures.';
    const unread = this.#pictures.filter(({ said }) => !said).length;
    const [{ file, said }] = this.#pictures;
    const newest = said ? `${file.name}: ${said}.` : '';
    return `${newest}${unread ? ` ${unread} of ${this.#pictures.length} could not be answered.` : ''}`.trim();
  }
}

function isGraph(file) {
  return /\.onnx$/i.test(file.name);
}

function onFiles(input, take) {
  input.addEventListener('change', () => {
    const files = [...input.files];
    input.value = ''; // the same file can be chosen again, after it has changed
    if (files.length) take(files);
  });
}

function showFailure(row, error) {
  row.classList.add('failed');
  row.querySelector('canvas').hidden = true;
  row.querySelector('.bars').replaceChildren();
  row.querySelector('.why').textContent = error.message;
}

function showAnswer(row, { picture, classes, milliseconds }) {
  row.classList.remove('failed');
  row.querySelector('.why').textContent = '';
  draw(row.querySelector('canvas'), picture);
  row.title = `answered in ${milliseconds.toFixed(1)} ms`;
  row.querySelector('.bars').replaceChildren(...classes.slice(0, SHOWN).map(({ index, label, probability }, rank) => {
    const bar = document.getElementById('bar').content.firstElementChild.cloneNode(true);
    bar.dataset.class = index;
    bar.dataset.probability = probability;
    bar.classList.toggle('best', rank === 0);
    bar.querySelector('.label').textContent = label;
    bar.querySelector('.label').title = label;
    bar.querySelector('.fill').style.width = `${100 * probability}%`;
    bar.querySelector('.share').textContent = percent(probability);
    return bar;
  }));
}

// draw shows the pixels that the network sees.
function draw(canvas, { channels, height, width, pixels }) {
  canvas.hidden = false;
  canvas.height = height;
  canvas.width = width;
  const image = new ImageData(width, height);
  const area = height * width;
  for (let i = 0; i < area; i++) {
    for (let channel = 0; channel < 3; channel++) image.data[4 * i + channel] = pixels[(channel % channels) * area + i];
    image.data[4 * i + 3] = 255;
  }
  canvas.getContext('2d').putImageData(image, 0, 0);
  canvas.setAttribute('aria-label', `What the network sees: ${width} × ${height} pixels`);
}

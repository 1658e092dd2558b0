// A canvas to draw on: by pointer (mouse, finger, pen) and by keyboard. It keeps strokes, so that one can be undone.

const PEN = 22; // width in canvas pixels: at a digit's usual height, about as thick as MNIST's strokes are
const [STEP, SMALL_STEP] = [10, 4]; // canvas pixels that an arrow key moves the pen by
const DIRECTIONS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Drawing {
  #canvas;
  #context;
  #pen;
  #onChange;
  #strokes = [];
  #pointer = null; // id of the pointer that draws
  #arrows = new Set(); // arrow keys that are down
  #position; // of the keyboard's pen
  #penDown = false;

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {HTMLElement} pen shows where the keyboard's pen is
   * @param {() => void} onChange is called after every change of the drawing
   */
  constructor(canvas, pen, onChange) {
    this.#canvas = canvas;
    this.#context = canvas.getContext('2d', { willReadFrequently: true });
    this.#pen = pen;
    this.#onChange = onChange;
    this.#movePen({ x: canvas.width / 2, y: canvas.height / 2 });
    canvas.addEventListener('pointerdown', (event) => this.#begin(event));
    canvas.addEventListener('pointermove', (event) => this.#go(event));
    for (const end of ['pointerup', 'pointercancel', 'lostpointercapture']) {
      canvas.addEventListener(end, (event) => this.#end(event));
    }
    canvas.addEventListener('keydown', (event) => this.#press(event));
    canvas.addEventListener('keyup', (event) => this.#arrows.delete(event.key));
    canvas.addEventListener('blur', () => {
      this.#arrows.clear();
      this.#setPen(false);
    });
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#redraw());
  }

  /** ink returns how much of each canvas pixel is covered, 0…255, row by row: the opacity, whatever the colour. */
  ink() {
    const { width, height } = this.#canvas;
    const { data } = this.#context.getImageData(0, 0, width, height);
    const ink = new Uint8Array(width * height);
    for (let i = 0; i < ink.length; i++) ink[i] = data[4 * i + 3];
    return { ink, width, height };
  }

  undo() {
    this.#lift();
    this.#strokes.pop();
    this.#redraw();
    this.#onChange();
  }

  clear() {
    this.#lift();
    this.#strokes = [];
    this.#redraw();
    this.#onChange();
  }

  // #lift ends the stroke that is being drawn: what is taken away must not go on.
  #lift() {
    this.#pointer = null;
    this.#setPen(false);
  }

  #begin(event) {
    if (this.#pointer !== null || event.button !== 0) return;
    this.#pointer = event.pointerId;
    this.#canvas.setPointerCapture(event.pointerId);
    this.#setPen(false);
    this.#startStroke(this.#place(event));
  }

  #go(event) {
    if (event.pointerId !== this.#pointer) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const each of events.length ? events : [event]) this.#extendStroke(this.#place(each));
    this.#onChange();
  }

  #end(event) {
    if (event.pointerId === this.#pointer) this.#pointer = null;
  }

  // #place turns an event's place on the screen into canvas pixels.
  #place(event) {
    const { left, top, width, height } = this.#canvas.getBoundingClientRect();
    return { x: ((event.clientX - left) / width) * this.#canvas.width, y: ((event.clientY - top) / height) * this.#canvas.height };
  }

  #press(event) {
    const drawing = this.#pointer !== null; // the keyboard's pen waits for the pointer: strokes are one at a time
    if (event.ctrlKey || event.metaKey || event.altKey) {
      if (event.key !== 'z' || event.altKey) return;
      this.undo();
    } else if (event.key in DIRECTIONS) {
      if (!drawing) {
        this.#arrows.add(event.key);
        this.#step(event.shiftKey ? SMALL_STEP : STEP);
      }
    } else if (event.key === ' ') {
      if (!drawing && !event.repeat) this.#setPen(!this.#penDown);
    } else if (event.key === 'Backspace') {
      this.undo();
    } else if (event.key === 'Delete' || event.key === 'Escape') {
      this.clear();
    } else {
      return;
    }
    event.preventDefault();
  }

  // #step moves the keyboard's pen by all arrow keys that are down, so that two of them go diagonally.
  #step(length) {
    let { x, y } = this.#position;
    for (const key of this.#arrows) {
      x += DIRECTIONS[key][0] * length;
      y += DIRECTIONS[key][1] * length;
    }
    const within = (value, size) => Math.min(size - PEN / 2, Math.max(PEN / 2, value));
    this.#movePen({ x: within(x, this.#canvas.width), y: within(y, this.#canvas.height) });
    if (this.#penDown) {
      this.#extendStroke(this.#position);
      this.#onChange();
    }
  }

  #movePen(position) {
    this.#position = position;
    this.#pen.style.left = `${(100 * position.x) / this.#canvas.width}%`;
    this.#pen.style.top = `${(100 * position.y) / this.#canvas.height}%`;
  }

  #setPen(down) {
    if (down === this.#penDown) return;
    this.#penDown = down;
    this.#pen.classList.toggle('down', down);
    if (down) this.#startStroke(this.#position);
  }

  #startStroke(point) {
    this.#strokes.push([point]);
    this.#draw(point, point);
    this.#onChange();
  }

  #extendStroke(point) {
    const stroke = this.#strokes.at(-1);
    this.#draw(stroke.at(-1), point);
    stroke.push(point);
  }

  #draw(from, to) {
    const context = this.#context;
    context.fillStyle = context.strokeStyle = getComputedStyle(this.#canvas).color;
    context.lineWidth = PEN;
    context.beginPath();
    context.moveTo(from.x, from.y);
    context.lineTo(to.x, to.y);
    context.stroke();
    // The round end: a line cap would not show on a dot, whose line has no length.
    context.beginPath();
    context.arc(to.x, to.y, PEN / 2, 0, 2 * Math.PI);
    context.fill();
  }

  #redraw() {
    this.#context.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
    for (const stroke of this.#strokes) {
      stroke.forEach((point, i) => this.#draw(stroke[Math.max(0, i - 1)], point));
    }
  }
}

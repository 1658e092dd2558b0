// The worker from the page's side: one for each graph, since only its end gives all memory back and stops what runs.

export class Runner {
  #worker;
  #waiting = new Map(); // by number, the promises of tasks that are not done
  #number = 0;
  #ended = null; // why no task is taken any more

  constructor() {
    this.#worker = new Worker(new URL('worker.mjs', import.meta.url), { type: 'module' });
    this.#worker.addEventListener('message', ({ data: { id, value, error } }) => {
      const { resolve, reject } = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) resolve(value);
      else reject(new Error(error));
    });
    // Without a message it is the worker's script, or a module of it, that could not be loaded.
    this.#worker.addEventListener('error', (event) => {
      event.preventDefault();
      this.end(new Error(event.message ? `the page's worker failed: ${event.message}` : "the page's worker could not be loaded"));
    });
  }

  get ended() {
    return this.#ended !== null;
  }

  /** @param {File} file of an ONNX graph */
  open(file) {
    return this.#ask('open', file);
  }

  /** @param {{file: File, sizing: string, rule: {scale: number, offset: number}[]}} question */
  answer(question) {
    return this.#ask('answer', question);
  }

  /** end stops the worker; what it has not answered fails. */
  end(reason = new Error('stopped')) {
    this.#ended ??= reason;
    this.#worker.terminate();
    for (const { reject } of this.#waiting.values()) reject(this.#ended);
    this.#waiting.clear();
  }

  #ask(task, argument) {
    if (this.#ended) return Promise.reject(this.#ended);
    return new Promise((resolve, reject) => {
      const id = this.#number++;
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, task, argument });
    });
  }
}

/**
 * Plays the server's sound and counts what was played of each segment.
 *
 * Messages in: a buffer of 16-bit samples at the context's rate, or `{type, segment}` where type is
 * "flush", "clear", "pause" or "resume". Messages out: `{segment, frames, interrupted}`, one for
 * each segment, since segments are numbered upwards and the server waits for every answer.
 */

const LEAD = 0.04; // seconds to have before a segment begins, or goes on after it ran dry
const FADE = 0.004; // seconds: a cut without a click

class Segment {
  chunks = [];
  number = 0; // known when it ends
  played = 0;
  left = 0;
  #offset = 0;

  add(samples) {
    this.chunks.push(samples);
    this.left += samples.length;
  }

  next() {
    const sample = this.chunks[0][this.#offset] / 32768;
    this.#offset += 1;
    if (this.#offset === this.chunks[0].length) {
      this.chunks.shift();
      this.#offset = 0;
    }
    this.played += 1;
    this.left -= 1;
    return sample;
  }
}

class Speaker extends AudioWorkletProcessor {
  #segments = [];
  #answered = 0; // the highest number that was
  #flowing = false;
  #paused = false;
  #last = 0; // the sample that was played last, faded out where the sound stops
  #fade = 1 / (FADE * sampleRate);
  #gain = 0;

  constructor() {
    super();
    this.port.onmessage = ({ data }) => this.#take(data);
  }

  #take(message) {
    if (message instanceof ArrayBuffer) this.#add(new Int16Array(message));
    else if (message.type === "flush") this.#flush(message.segment);
    else if (message.type === "clear") this.#clear(message.segment);
    else this.#paused = message.type === "pause";
  }

  #add(samples) {
    if (samples.length > 0) this.#open().add(samples);
  }

  #flush(number) {
    if (number <= this.#answered) return;
    this.#open().number = number;
    this.#answerFinished();
  }

  #clear(number) {
    if (number > (this.#segments.at(-1)?.number || this.#answered)) this.#open().number = number;
    for (const segment of this.#segments) this.#answer(segment, true);
    this.#segments = [];
    this.#flowing = false;
  }

  /** Return the segment that is being filled. */
  #open() {
    if (this.#segments.length === 0 || this.#segments.at(-1).number !== 0) {
      this.#segments.push(new Segment());
    }
    return this.#segments.at(-1);
  }

  #answerFinished() {
    while (this.#segments[0]?.number && this.#segments[0].left === 0) {
      this.#answer(this.#segments.shift(), false);
    }
  }

  #answer({ number, played }, interrupted) {
    this.#answered = number;
    this.port.postMessage({ segment: number, frames: played, interrupted });
  }

  process(_, [[output]]) {
    for (let index = 0; index < output.length; index += 1) output[index] = this.#sample();
    return true;
  }

  #sample() {
    if (!this.#ready()) {
      this.#gain = Math.max(0, this.#gain - this.#fade);
      return this.#last * this.#gain;
    }
    this.#gain = Math.min(1, this.#gain + this.#fade);
    this.#last = this.#segments[0].next();
    this.#answerFinished();
    return this.#last * this.#gain;
  }

  #ready() {
    const segment = this.#segments[0];
    if (this.#paused || segment === undefined) return false;
    const enough = this.#flowing || segment.number !== 0 || segment.left >= LEAD * sampleRate;
    this.#flowing = enough && segment.left > 0;
    return this.#flowing;
  }
}

registerProcessor("speaker", Speaker);

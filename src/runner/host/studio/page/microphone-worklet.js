/** The microphone as the server wants it: 16-bit samples, mono, 24 kHz, 20 ms a message. */

import { Resampler } from "./resampler.js";

const RATE = 24000;
const FRAME = 480;
const QUANTUM = 128;

class Microphone extends AudioWorkletProcessor {
  #resampler = sampleRate === RATE ? null : new Resampler(Math.round(sampleRate), RATE);
  #frame = new Int16Array(FRAME);
  #filled = 0;

  process([[samples = new Float32Array(QUANTUM)]]) {
    for (const sample of this.#resampler ? this.#resampler.push(samples) : samples) {
      this.#frame[this.#filled] = Math.max(-1, Math.min(1, sample)) * 32767;
      this.#filled += 1;
      if (this.#filled === FRAME) this.#send();
    }
    return true;
  }

  #send() {
    this.port.postMessage(this.#frame.buffer, [this.#frame.buffer]);
    this.#frame = new Int16Array(FRAME);
    this.#filled = 0;
  }
}

registerProcessor("microphone", Microphone);

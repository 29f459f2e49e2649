/** Turns sound of one rate into sound of another, piece by piece. Knows nothing of Web Audio. */

const ZEROS = 16; // of the sinc, on each side of its peak
const ROLL_OFF = 0.94; // of the lower Nyquist frequency: leaves the filter room to fall

/** A band-limited (windowed sinc) resampler of one channel; it is as late as its kernel is half wide. */
export class Resampler {
  #kernels;
  #step;
  #width;
  #held;
  #position = 0; // of the next output's kernel in #held, in parts of an input sample

  constructor(from, to) {
    const common = commonDivisor(from, to);
    this.#step = from / common;
    const cutoff = Math.min(1, to / from) * ROLL_OFF;
    const reach = Math.ceil(ZEROS / cutoff);
    this.#width = 2 * reach;
    this.#kernels = Array.from({ length: to / common }, (_, phase) =>
      kernel(phase / (to / common), cutoff, reach),
    );
    this.#held = new Float32Array(this.#width - 1);
  }

  /** Take in samples and return those that can be made by now. */
  push(samples) {
    const phases = this.#kernels.length;
    const input = joined(this.#held, samples);
    const made = [];
    let first = Math.floor(this.#position / phases);
    while (first + this.#width <= input.length) {
      made.push(weighed(input, first, this.#kernels[this.#position % phases]));
      this.#position += this.#step;
      first = Math.floor(this.#position / phases);
    }
    this.#held = input.slice(first);
    this.#position -= first * phases;
    return Float32Array.from(made);
  }
}

function commonDivisor(a, b) {
  return b === 0 ? a : commonDivisor(b, a % b);
}

function kernel(shift, cutoff, reach) {
  const weights = Float32Array.from({ length: 2 * reach }, (_, index) => {
    const at = index - (reach - 1) - shift;
    const window = 0.5 + 0.5 * Math.cos((Math.PI * at) / reach);
    return Math.abs(at) > reach ? 0 : window * sinc(cutoff * at);
  });
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}

function sinc(x) {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

function joined(one, other) {
  const both = new Float32Array(one.length + other.length);
  both.set(one);
  both.set(other, one.length);
  return both;
}

function weighed(input, first, weights) {
  let sum = 0;
  for (let index = 0; index < weights.length; index += 1) {
    sum += input[first + index] * weights[index];
  }
  return sum;
}

/** A call's sound: the speaker and the microphone, each an AudioWorklet at 24 kHz. */

const RATE = 24000;
const WANTED = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 };
const REFUSALS = {
  NotAllowedError: "The microphone was not allowed for this page: type, or allow it in the browser's site settings.",
  NotFoundError: "No microphone was found: type, or plug one in.",
  NotReadableError: "The microphone is in use by another program: type, or close that program.",
};

/** The sound of one call; `played(segment, seconds, interrupted)` is told of each segment's end. */
export class Sound {
  #context = new AudioContext({ sampleRate: RATE, latencyHint: "interactive" });
  #capture = null; // a context at the device's rate, where one at 24 kHz cannot take the microphone
  #stream = null;
  #speaker;
  #played;
  #meters = {};

  constructor(played) {
    this.#played = played;
  }

  /** Make the speaker ready; to be called in the wake of a click, or the browser keeps silent. */
  async open() {
    await this.#context.resume();
    await this.#context.audioWorklet.addModule("/page/speaker-worklet.js");
    this.#speaker = new AudioWorkletNode(this.#context, "speaker", { numberOfInputs: 0, outputChannelCount: [1] });
    this.#speaker.port.onmessage = ({ data: { segment, frames, interrupted } }) =>
      this.#played(segment, frames / RATE, interrupted);
    this.#speaker.connect(this.#context.destination);
    this.#meters.agent = measured(this.#speaker);
  }

  /** Ask for the microphone and send its frames to `heard`; throws a sentence if there is none. */
  async listen(heard) {
    const stream = await microphone();
    if (this.#context.state === "closed") return stop(stream);
    this.#stream = stream;
    const source = await this.#source();
    await source.context.audioWorklet.addModule("/page/microphone-worklet.js");
    const worklet = new AudioWorkletNode(source.context, "microphone", {
      numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit",
    });
    worklet.port.onmessage = ({ data }) => heard(data);
    source.connect(worklet);
    this.#meters.caller = measured(source);
    return undefined;
  }

  /** Send silence instead of the microphone, or the microphone again. */
  mute(muted) {
    for (const track of this.#stream.getTracks()) track.enabled = !muted;
  }

  /** Take in a buffer of 16-bit samples of the agent's speech. */
  play(buffer) {
    this.#speaker.port.postMessage(buffer, [buffer]);
  }

  /** Carry out a "flush", "clear", "pause" or "resume". */
  command({ type, segment }) {
    this.#speaker.port.postMessage({ type, segment });
  }

  /** Return how loud the agent and the caller are now, each from 0 to 1. */
  levels() {
    return { agent: this.#meters.agent?.() ?? 0, caller: this.#meters.caller?.() ?? 0 };
  }

  /** Give everything back, at once. */
  close() {
    this.#played = () => {};
    if (this.#stream !== null) stop(this.#stream);
    this.#capture?.close();
    this.#context.close();
  }

  /** Return the microphone as a node; Firefox takes it only at the device's own rate. */
  async #source() {
    try {
      return this.#context.createMediaStreamSource(this.#stream);
    } catch {
      this.#capture = new AudioContext();
      await this.#capture.resume();
      return this.#capture.createMediaStreamSource(this.#stream);
    }
  }
}

async function microphone() {
  if (navigator.mediaDevices === undefined) {
    throw new Error("Browsers give the microphone only to pages on this machine or over HTTPS: type instead.");
  }
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: WANTED });
  } catch (error) {
    throw new Error(REFUSALS[error.name] ?? `The microphone cannot be used (${error.name}): type instead.`);
  }
}

function stop(stream) {
  for (const track of stream.getTracks()) track.stop();
}

function measured(node) {
  const analyser = new AnalyserNode(node.context, { fftSize: 1024 });
  const samples = new Float32Array(analyser.fftSize);
  node.connect(analyser);
  return () => {
    analyser.getFloatTimeDomainData(samples);
    return Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
  };
}

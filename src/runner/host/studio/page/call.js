/** One call: its socket, its sound, and what the page may do with it. Knows nothing of the DOM. */

import { Sound } from "./sound.js";

const LONGEST_BACKLOG = 48000; // bytes of microphone, one second: beyond it the server is not reading
const COMMANDS = new Set(["flush", "clear", "pause", "resume"]);

/**
 * A call of an agent.
 *
 * `heard` is given each message of the server, and two of the page's own: `microphone` with its
 * state ("none", "asked", "on" or "muted") and why, and `closed`.
 */
export class Call {
  microphone = "none";
  #sound = new Sound((segment, seconds, interrupted) =>
    this.#send({ type: "played", segment, seconds, interrupted }));
  #socket = null;
  #heard;
  #closed = false;
  #waiting = []; // what was typed before the call had started

  constructor(agent, heard) {
    this.agent = agent;
    this.began = performance.now();
    this.#heard = heard;
  }

  /** Get the sound ready and call; `speaking` asks for the microphone first. */
  async begin(speaking) {
    try {
      await this.#sound.open();
    } catch (error) {
      this.#finish(`This browser cannot play the call's sound (${error.message})`);
    }
    if (speaking) await this.listen();
    if (this.#closed) return;
    const address = new URL(`/call?agent=${encodeURIComponent(this.agent)}`, location.href);
    address.protocol = address.protocol.replace("http", "ws");
    this.#socket = new WebSocket(address);
    this.#socket.binaryType = "arraybuffer";
    this.#socket.onmessage = ({ data }) => this.#closed || this.#receive(data);
    this.#socket.onclose = ({ code, reason }) => this.#finish(reason || broken(code));
  }

  /** Ask for the microphone; without one the call goes on by typing. */
  async listen() {
    if (this.microphone !== "none") return;
    this.#report("asked");
    try {
      await this.#sound.listen((frame) => this.#speak(frame));
      this.#report("on");
    } catch (error) {
      this.#report("none", error.message);
    }
  }

  /** Mute the microphone or open it again. */
  mute(muted) {
    this.#sound.mute(muted);
    this.#report(muted ? "muted" : "on");
  }

  /** Send a typed line; one that is typed while the call is being set up waits for it. */
  type(text) {
    if (this.#waiting === null) this.#send({ type: "text", text });
    else this.#waiting.push(text);
  }

  /** Break the backend that has the call. */
  breakBackend() {
    this.#send({ type: "break" });
  }

  /** End the call now. */
  hangUp() {
    this.#send({ type: "hang_up" });
    this.#finish("You hung up");
  }

  /** Return how loud the agent and the caller are, each from 0 to 1. */
  levels() {
    return this.#sound.levels();
  }

  #receive(message) {
    if (message instanceof ArrayBuffer) this.#sound.play(message);
    else this.#take(JSON.parse(message));
  }

  #take(message) {
    if (COMMANDS.has(message.type)) this.#sound.command(message);
    else if (message.type === "ended") this.#finish(message.reason);
    else this.#tell(message);
    if (message.type === "started") this.#sendWaiting();
  }

  #sendWaiting() {
    for (const text of this.#waiting ?? []) this.#send({ type: "text", text });
    this.#waiting = null;
  }

  #speak(frame) {
    const open = this.#socket?.readyState === WebSocket.OPEN;
    if (open && this.#socket.bufferedAmount < LONGEST_BACKLOG) this.#socket.send(frame);
  }

  #send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #report(state, why = "") {
    this.microphone = state;
    this.#tell({ type: "microphone", state, why });
  }

  #tell(message) {
    if (!this.#closed) this.#heard(message);
  }

  #finish(reason) {
    if (this.#closed) return;
    this.#tell({ type: "closed", reason });
    this.#closed = true;
    this.#sound.close();
    this.#socket?.close();
  }
}

function broken(code) {
  return code === 1000 ? "The call is over" : "The connection to the server broke";
}

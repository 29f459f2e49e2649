/** The page's standing line to the server: its agents and calls as they change, over restarts too. */

const PAUSES = [0.5, 1, 2, 4]; // seconds between tries; the last goes on

/** Keep a connection to /events: `told` is given its messages, `changed` the state of the line. */
export class Server {
  #told;
  #changed;
  #tries = 0;
  #timer = 0;
  #socket = null;

  constructor(told, changed) {
    this.#told = told;
    this.#changed = changed;
    addEventListener("online", () => this.tryNow());
    this.#open();
  }

  /** Try again without waiting, where the line is broken. */
  tryNow() {
    if (this.#timer === 0) return;
    clearTimeout(this.#timer);
    this.#open();
  }

  #open() {
    this.#timer = 0;
    const address = new URL("/events", location.href);
    address.protocol = address.protocol.replace("http", "ws");
    this.#socket = new WebSocket(address);
    this.#socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
    this.#socket.onclose = () => this.#lost();
  }

  #receive(message) {
    this.#tries = 0;
    this.#changed({ connected: true });
    this.#told(message);
  }

  async #lost() {
    const pause = PAUSES[Math.min(this.#tries, PAUSES.length - 1)];
    this.#tries += 1;
    this.#timer = setTimeout(() => this.#open(), pause * 1000);
    const refusal = await refused();
    if (this.#timer !== 0) this.#changed({ connected: false, refusal });
  }
}

/** Return why the server does not let this page in, empty where it is not there at all. */
async function refused() {
  try {
    const answer = await fetch("/agents");
    return [401, 403].includes(answer.status) ? await answer.text() : "";
  } catch {
    return "";
  }
}

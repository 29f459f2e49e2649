/** What is said and done in the calls of this page, as it happens. */

import { brief, moment, written } from "./words.js";
import { long, make, say } from "./dom.js";

const MOST_LINES = 500;
const NEAR = 60; // pixels from the end that still count as at the end
const LONG = 600; // characters of an argument, an answer or a note
const NAMES = { agent: "Agent", caller: "You" };

/** The transcript: one section a call, one line a turn, a tool or an event. */
export class Transcript {
  #log;
  #announcer;
  #section = null;
  #spoken = new Map(); // segment -> its line
  #tools = new Map();
  #failover = null; // the last one: its line, what failed, and which backend took over
  #latency = null;
  #atEnd = true;
  #top = 0;

  /** `log` holds the lines; `announcer` is a live region: whole sentences for screen readers. */
  constructor(log, announcer) {
    this.#log = log;
    this.#announcer = announcer;
    log.addEventListener("scroll", () => this.#scrolled());
    new ResizeObserver(() => this.#stay()).observe(log);
  }

  /** Begin the section of a new call. */
  open(title) {
    this.#spoken.clear();
    this.#tools.clear();
    this.#failover = null;
    this.#latency = null;
    this.#section = make("section", { "aria-label": `Call of ${title}` });
    this.#section.append(
      make("h2", {}, make("span", { class: "name" }, title),
        make("span", { class: "when" }, moment(new Date().toISOString()))),
    );
    this.#log.append(this.#section);
    this.#atEnd = true;
    this.#stay();
  }

  /** Show a message of the call, if it is one that is shown here. */
  take(message) {
    const show = SHOWN[message.type];
    if (show === undefined) return;
    show.call(this, message);
    this.#forget();
    this.#stay();
  }

  started({ revision, rehearsal }) {
    if (revision) this.#section.querySelector(".when").prepend(`${revision} · `);
    if (rehearsal) this.#event("A rehearsal: there is no model. It speaks English, and hears what its tools are asked for by. Or type.");
  }

  words({ id, who, text, final, interrupted }) {
    const key = `${who} ${id}`;
    if (!this.#spoken.has(key)) {
      if (text === "" && who !== "caller") return;
      this.#spoken.set(key, this.#line(who, NAMES[who] ?? who, make("p", { class: "said" })));
    }
    const line = this.#spoken.get(key);
    line.hidden = text === ""; // a place that is kept for words to come
    say(line.querySelector(".said"), text);
    line.classList.toggle("open", !final);
    if (who === "agent") this.#placeLatency(line);
    if (interrupted && !line.classList.contains("cut")) this.#cut(line);
    if (final) this.#announce(`${NAMES[who] ?? who}: ${text}${interrupted ? " (interrupted)" : ""}`);
  }

  latency({ seconds }) {
    this.#latency = seconds;
    const open = [...this.#spoken.values()].at(-1);
    if (open?.matches(".agent.open")) this.#placeLatency(open);
  }

  tool(message) {
    if (!this.#tools.has(message.id)) {
      this.#tools.set(message.id, this.#line("tool", "Tool", make("div", { class: "used" })));
    }
    const line = this.#tools.get(message.id);
    line.dataset.status = message.status;
    line.querySelector(".used").replaceChildren(...toolParts(message));
    if (message.seconds != null) say(line.querySelector(".took"), brief(message.seconds));
    if (message.status !== "running") this.#announce(`Tool ${message.name}: ${message.status}`);
  }

  left({ name, reason }) {
    if (this.#failover === null || this.#failover.next !== "") {
      this.#failover = { line: this.#event("", "failover"), failed: [], next: "" };
    }
    this.#failover.failed.push(`${name} failed (${reason})`);
    say(this.#failover.line, `${this.#failover.failed.join("; ")} …`);
  }

  backend({ name, gap }) {
    const failover = this.#failover;
    if (failover === null || (failover.next !== "" && failover.next !== name)) return;
    const after = gap == null ? "" : ` after ${gap.toFixed(1)} s`;
    failover.next = name;
    say(failover.line, `${[...failover.failed, `${name} took over${after}`].join("; ")}.`);
    if (gap != null) this.#announce(failover.line.textContent);
  }

  note({ title, text }) {
    const shown = title === undefined
      ? make("p", {}, long(text, LONG))
      : make("details", {}, make("summary", {}, title), make("p", {}, text));
    this.#line("note", "Note", shown);
  }

  microphone({ why }) {
    if (why) this.#event(why);
  }

  closed({ reason }) {
    if (this.#failover?.next === "") say(this.#failover.line, `${this.#failover.failed.join("; ")}.`);
    for (const line of this.#log.querySelectorAll(".open")) line.classList.remove("open");
    for (const line of this.#log.querySelectorAll('[data-status="running"]')) giveUp(line);
    this.#event(`Call ended: ${reason}`, "ended");
  }

  #line(kind, name, content) {
    const line = make("div", { class: `line ${kind}` },
      make("span", { class: "who" }, name), content, make("span", { class: "took" }));
    this.#section.append(line);
    return line;
  }

  #event(text, kind = "") {
    const line = make("p", { class: `event ${kind}`.trim() }, text);
    this.#section.append(line);
    this.#announce(text);
    return line;
  }

  #cut(line) {
    line.classList.add("cut");
    line.querySelector(".said").after(make("span", { class: "mark" }, "interrupted"));
  }

  #placeLatency(line) {
    if (this.#latency === null) return;
    const took = line.querySelector(".took");
    say(took, brief(this.#latency));
    took.title = "From the end of your words to the agent's first sound";
    this.#latency = null;
  }

  /** Notice that somebody scrolls: back, or to the end again. The page itself only goes forward. */
  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#log;
    const near = scrollHeight - scrollTop - clientHeight < NEAR;
    this.#atEnd = near || (this.#atEnd && scrollTop >= this.#top);
    this.#top = scrollTop;
  }

  /** Keep the newest line in sight, unless somebody has scrolled back. */
  #stay() {
    if (this.#atEnd) this.#log.scrollTop = this.#log.scrollHeight;
  }

  #announce(text) {
    if (text === "") return;
    this.#announcer.append(make("p", {}, text));
    while (this.#announcer.children.length > 5) this.#announcer.firstChild.remove();
  }

  #forget() {
    const lines = this.#log.querySelectorAll(".line, .event");
    for (const line of [...lines].slice(0, Math.max(0, lines.length - MOST_LINES))) line.remove();
    for (const section of this.#log.querySelectorAll("section")) {
      if (section !== this.#section && section.children.length === 1) section.remove();
    }
  }
}

const SHOWN = Object.fromEntries(
  ["started", "words", "latency", "tool", "left", "backend", "note", "microphone", "closed"].map(
    (type) => [type, Transcript.prototype[type]],
  ),
);

function toolParts({ name, arguments: values, status, result }) {
  const call = make("code", {}, `${name}(`, make("wbr"), long(written(values), LONG), ")");
  return [make("p", {}, call), make("p", { class: "result" }, ...outcome(status, result))];
}

function giveUp(line) {
  line.dataset.status = "failed";
  say(line.querySelector(".result"), "failed: the call ended before its answer");
}

function outcome(status, result) {
  if (status === "running") return ["running …"];
  return [status === "failed" ? "failed: " : "", long(shown(result), LONG)];
}

function shown(result) {
  if (result == null) return "no answer";
  return typeof result === "string" ? result : JSON.stringify(result);
}

/** The page: what it knows, what the server tells it, and what a person does with it. */

import { addressed, addressOf, showAgents, showCalls, tick } from "./agents.js";
import { showAgent, showFindings } from "./about.js";
import { byId, say } from "./dom.js";
import { Call } from "./call.js";
import { drawCall, showClock, showStage, wire } from "./stage.js";
import { Server } from "./server.js";
import { Transcript } from "./transcript.js";
import { opening } from "./words.js";

const page = { agents: null, line: "", calls: [], address: "", connected: false, call: null };
const transcript = new Transcript(byId("transcript"), byId("announcer"));

/** A call as the page shows it; `line` is the connection that carries it. */
function newCall(agent) {
  const call = {
    agent, id: "", backend: "", state: "", rehearsal: agent.rehearsal,
    revision: "", edited: false, breaking: false, failedOver: false,
  };
  call.line = new Call(agent.id, (message) => takeOfCall(call, message));
  return call;
}

const CHANGES = {
  started: (call, { call: id, revision, rehearsal }) => Object.assign(call, { id, revision, rehearsal }),
  backend: (call, { name, gap }) =>
    Object.assign(call, { backend: name, breaking: false, failedOver: call.failedOver || gap != null }),
  left: (call) => Object.assign(call, { breaking: false, failedOver: true }),
  state: (call, { who, state }) => who === "agent" && Object.assign(call, { state }),
  edited: (call, { revision }) => Object.assign(call, { edited: revision !== call.revision }),
  closed: () => Object.assign(page, { call: null }),
};

function takeOfCall(call, message) {
  CHANGES[message.type]?.(call, message);
  transcript.take(message);
  if (message.type !== "words") show();
}

function takeOfServer(message) {
  if (message.type === "calls") page.calls = message.calls;
  if (message.type === "agents") Object.assign(page, { agents: addressed(message.agents), line: message.line });
  show();
}

function takeOfLine({ connected, refusal }) {
  page.connected = connected;
  byId("gone").hidden = connected;
  say(byId("gonetext"), refusal || "The server is gone. This page keeps trying to reach it.");
  show();
}

function begin(speaking) {
  const agent = selected();
  if (agent === undefined || agent.state === "broken" || page.call !== null) return;
  page.call = newCall(agent);
  transcript.open(agent.name || agent.id);
  page.call.line.begin(speaking);
  const { call } = page;
  drawCall(() => (page.call === call ? call.line.levels() : null));
  show();
}

function type(text) {
  if (page.call === null) begin(false);
  page.call?.line.type(text);
}

function mute() {
  const { line } = page.call;
  if (line.microphone === "none") line.listen();
  else line.mute(line.microphone === "on");
}

function breakBackend() {
  page.call.breaking = true;
  page.call.line.breakBackend();
  show();
}

function callAgain() {
  const { agent, line } = page.call;
  const speaking = line.microphone !== "none";
  line.hangUp();
  choose(agent);
  begin(speaking);
}

function selected() {
  return page.agents?.find(({ address, file }) => [address, addressOf(file)].includes(page.address));
}

function choose({ address }) {
  location.hash = address;
  page.address = address;
}

function readAddress() {
  if (location.hash.startsWith("#/")) page.address = location.hash;
  show();
}

/** Show everything as it is now; what is as it was is not touched. */
function show() {
  const { agents, call, line, calls, connected } = page;
  if (agents === null) return;
  if (page.address === "" && agents.length > 0) {
    page.address = (agents.find(({ state }) => state !== "broken") ?? agents[0]).address;
  }
  const agent = selected();
  showAgents(agents, agent);
  showCalls(connected ? calls : [], call?.id, (id) => agents.find((one) => one.id === id)?.name || id);
  byId("rehearsal").hidden = line === "";
  say(byId("rehearsaltext"), line);
  document.body.dataset.view = call === null ? view(agents, agent) : "agent";
  document.body.dataset.call = call === null ? "none" : "live";
  document.body.dataset.connected = connected;
  showStage({ call, agent, connected });
  showHeading(call?.agent ?? agent);
  if (agent !== undefined) showChosen(agent, call);
}

function view(agents, agent) {
  if (agents.length === 0) return "empty";
  return agent === undefined ? "missing" : "agent";
}

function showHeading(agent) {
  const name = agent === undefined ? "" : agent.name || agent.id;
  say(byId("name"), name);
  say(byId("description"), agent?.description ?? "");
  say(byId("missing"), `There is no agent “${page.address.slice(2)}” in this folder.`);
  document.title = name === "" ? "Studio" : `${name} · Studio`;
}

function showChosen(agent, call) {
  showFindings(agent);
  const edited = showAgent(agent, call?.agent.id === agent.id ? call.backend : "");
  const [label, words] = opening(agent);
  say(byId("openinglabel"), label);
  say(byId("opening"), words);
  if (edited) say(byId("news"), `${agent.name || agent.id} was edited.`);
}

wire({
  talk: () => begin(true),
  mute,
  hangUp: () => page.call.line.hangUp(),
  breakBackend,
  again: callAgain,
  type,
});
byId("filter").addEventListener("input", show);
byId("skip").addEventListener("click", (event) => {
  event.preventDefault();
  byId("text").focus();
});
addEventListener("hashchange", readAddress);
readAddress();
setInterval(() => {
  tick();
  showClock(page.call);
}, 1000);
const server = new Server(takeOfServer, takeOfLine);
byId("trynow").addEventListener("click", () => server.tryNow());

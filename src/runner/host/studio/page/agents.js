/** The list of agents and the list of live calls. */

import { byId, list, make, say } from "./dom.js";
import { clock, standing } from "./words.js";

const MANY = 12; // agents: from here on a filter helps
const PLACES = { studio: "another page", terminal: "terminal", livekit: "LiveKit" };

/** Return agents with their addresses in this page: by id, by file if another one has that id. */
export function addressed(agents) {
  const ids = new Set();
  return agents.map((agent) => {
    const name = ids.has(agent.id) ? agent.file : agent.id;
    ids.add(agent.id);
    return { ...agent, address: addressOf(name) };
  });
}

/** Return the address in this page of an agent's id or file. */
export function addressOf(name) {
  return `#/${encodeURIComponent(name)}`;
}

/** Show the agents that match the filter; `selected` is the one that is looked at. */
export function showAgents(agents, selected) {
  const filter = byId("filter");
  filter.hidden = agents.length < MANY;
  const wanted = filter.hidden ? "" : filter.value.trim().toLowerCase();
  const shown = agents.filter(({ id, name }) => `${id} ${name}`.toLowerCase().includes(wanted));
  list(byId("agents"), shown, ({ file }) => file, agentItem, (item, agent) => {
    const link = item.firstChild;
    link.href = agent.address;
    item.dataset.state = agent.state;
    say(link.querySelector(".name"), agent.name || agent.id);
    say(link.querySelector(".state"), standing(agent));
    choose(link, agent === selected);
  });
}

function choose(link, chosen) {
  if (chosen === link.hasAttribute("aria-current")) return;
  if (chosen) link.setAttribute("aria-current", "page");
  else link.removeAttribute("aria-current");
  if (chosen) link.scrollIntoView({ block: "nearest", inline: "nearest" });
}

/** Show the calls that are live; `own` is the id of this page's call, `nameOf` names an agent. */
export function showCalls(calls, own, nameOf) {
  byId("live").hidden = calls.length === 0;
  list(byId("calls"), calls, ({ id }) => id, callItem, (item, call) => {
    item.dataset.began = call.began;
    say(item.querySelector(".name"), nameOf(call.agent));
    const place = call.id === own ? "this page" : PLACES[call.where];
    say(item.querySelector(".where"), [place, call.backend].filter(Boolean).join(" · "));
  });
  tick();
}

/** Bring the times of the live calls up to now. */
export function tick() {
  for (const item of byId("calls").children) {
    const seconds = (Date.now() - Date.parse(item.dataset.began)) / 1000;
    say(item.querySelector(".time"), Number.isNaN(seconds) ? "" : clock(seconds));
  }
}

function agentItem() {
  return make("li", {}, make("a", {}, make("span", { class: "name" }), make("span", { class: "state" })));
}

function callItem() {
  return make("li", {},
    make("span", { class: "name" }), make("span", { class: "time" }), make("span", { class: "where" }));
}

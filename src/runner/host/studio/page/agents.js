/** The list of agents and the list of live calls. */

import { byId, list, make, say } from "./dom.js";
import { clock, standing } from "./words.js";

const MANY = 12; // agents: from here on a filter helps
const PLACES = { studio: "another page", terminal: "terminal", livekit: "LiveKit" };

/** Show the agents that match the filter; `selected` is the id of the one that is looked at. */
export function showAgents(agents, selected) {
  const filter = byId("filter");
  filter.hidden = agents.length < MANY;
  const wanted = filter.hidden ? "" : filter.value.trim().toLowerCase();
  const shown = agents.filter(({ id, name }) => `${id} ${name}`.toLowerCase().includes(wanted));
  list(byId("agents"), shown, ({ id }) => id, agentItem, (item, agent) => {
    const link = item.firstChild;
    item.dataset.state = agent.state;
    say(link.querySelector(".name"), agent.name || agent.id);
    say(link.querySelector(".state"), standing(agent));
    choose(link, agent.id === selected);
  });
}

function choose(link, chosen) {
  if (chosen === link.hasAttribute("aria-current")) return;
  if (chosen) link.setAttribute("aria-current", "page");
  else link.removeAttribute("aria-current");
  if (chosen) link.scrollIntoView({ block: "nearest", inline: "nearest" });
}

/** Return the address of an agent in this page. */
export function addressOf(id) {
  return `#/${encodeURIComponent(id)}`;
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

function agentItem({ id }) {
  const link = make("a", { href: addressOf(id) },
    make("span", { class: "name" }), make("span", { class: "state" }));
  return make("li", {}, link);
}

function callItem() {
  return make("li", {},
    make("span", { class: "name" }), make("span", { class: "time" }), make("span", { class: "where" }));
}

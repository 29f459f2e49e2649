/** What an agent's file comes to: greeting, backends, voice, prompt, tools; and its findings. */

import { byId, long, make, say } from "./dom.js";
import { standing } from "./words.js";

const LONG_PROMPT = 4000; // characters

let shown = ""; // the agent as it was last shown: an edit elsewhere leaves this one alone
let active = "";

const STANDING = {
  serving: "",
  last_good: ": calls get the last good revision",
  broken: ": it cannot be called yet",
};

/** Show an agent, and mark `backend` as the one that has its call; return whether it was edited. */
export function showAgent(agent, backend) {
  say(byId("file"), agent.file);
  say(byId("standing"), [standing(agent), agent.revision].filter(Boolean).join(" · "));
  const now = JSON.stringify(agent);
  const edited = now !== shown && shown !== "" && JSON.parse(shown).file === agent.file;
  if (now !== shown) byId("about").replaceChildren(...parts(agent));
  if (edited) flash(byId("about"));
  if (now !== shown || backend !== active) mark(backend);
  shown = now;
  active = backend;
  return edited;
}

function flash(element) {
  element.classList.remove("edited");
  element.getBoundingClientRect(); // the animation begins anew
  element.classList.add("edited");
}

function mark(backend) {
  for (const item of byId("about").querySelectorAll(".backends li")) {
    if (item.dataset.name === backend) item.setAttribute("aria-current", "true");
    else item.removeAttribute("aria-current");
  }
}

/** Show the findings of an agent's file, as `runner validate` prints them. */
export function showFindings({ findings = [], state, file }) {
  const box = byId("findings");
  box.hidden = findings.length === 0;
  box.dataset.state = state;
  say(box.querySelector("summary"), summary(findings.length, state, file));
  const text = findings.join("\n");
  if (box.querySelector("pre").textContent !== text) {
    box.querySelector("pre").replaceChildren(...findings.flatMap(findingParts));
  }
}

/** A finding's sentence may wrap; the lines with the caret below it must not. */
function findingParts(finding, index) {
  const [sentence, ...rest] = finding.split("\n");
  const lines = rest.map((line) => `\n${line}`).join("");
  return [index === 0 ? "" : "\n", make("span", {}, sentence), lines];
}

function summary(count, state, file) {
  return `${count} ${count === 1 ? "finding" : "findings"} in ${file}${STANDING[state]}`;
}

function parts(agent) {
  return [
    section(agent.generated ? "Greeting, asked of the model" : "Greeting", agent.greeting && make("p", { class: "greeting" }, agent.greeting)),
    section("Backends", agent.backends?.length && backends(agent.backends)),
    section("Speech", speech(agent)),
    section("Prompt", agent.prompt && make("p", { class: "prompt" }, long(agent.prompt, LONG_PROMPT))),
    section("Tools", agent.tools?.length && make("ul", { class: "tools" }, ...agent.tools.map(tool))),
  ].filter(Boolean);
}

function section(title, content) {
  return content ? make("section", {}, make("h3", {}, title), content) : null;
}

function backends(entries) {
  return make("ol", { class: "backends" }, ...entries.map(({ name, kind, about }) =>
    make("li", { "data-name": name },
      make("span", { class: "name" }, name),
      make("span", { class: "detail" }, [kind === name ? "" : kind, about].filter(Boolean).join(" · ")))));
}

function speech({ voice, temperature }) {
  const rows = [["Voice", voice], ["Temperature", temperature]].filter(([, value]) => value);
  return rows.length && make("dl", {}, ...rows.map(([name, value]) =>
    make("div", {}, make("dt", {}, name), make("dd", {}, value))));
}

function tool({ name, description, parameters }) {
  const properties = Object.entries(parameters?.properties ?? parameters ?? {});
  const needed = parameters?.required ?? [];
  const rows = properties.map(([key, schema]) => parameter(key, schema, needed.includes(key)));
  return make("li", {},
    make("code", {}, name),
    make("p", {}, description ?? ""),
    ...(rows.length ? [make("ul", {}, ...rows)] : []));
}

function parameter(name, schema, needed) {
  const kind = schema?.enum?.map((value) => JSON.stringify(value)).join(", ") ?? schema?.type ?? "";
  const words = [kind, needed ? "" : "optional", schema?.description].filter(Boolean).join(" · ");
  return make("li", {}, make("code", {}, name), ` ${words}`);
}

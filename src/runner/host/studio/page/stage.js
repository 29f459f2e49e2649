/** The controls of a call: talk, mute, hang up, break, type; and what is going on in it. */

import { byId, say } from "./dom.js";
import { clock } from "./words.js";
import { drawLevels } from "./meter.js";

const STATES = {
  initializing: "getting ready",
  idle: "listening",
  listening: "listening",
  thinking: "thinking",
  speaking: "speaking",
};
const MICROPHONE = { on: "Mute", muted: "Unmute", asked: "Use microphone", none: "Use microphone" };
const SHORTCUTS = { KeyT: "talk", KeyM: "mute", KeyH: "hangup", KeyB: "break" };

/** Connect the buttons, the keys and the type box with what they do. */
export function wire({ talk, mute, hangUp, breakBackend, again, type }) {
  for (const [id, act] of Object.entries({ talk, mute, hangup: hangUp, break: breakBackend, again })) {
    byId(id).addEventListener("click", ({ currentTarget }) => isResting(currentTarget) || act());
  }
  byId("type").addEventListener("submit", (event) => {
    event.preventDefault();
    const box = byId("text");
    if (box.value.trim() !== "") type(box.value.trim());
    box.value = "";
  });
  addEventListener("keydown", pressShortcut);
  if (navigator.platform.startsWith("Mac")) {
    for (const key of document.querySelectorAll("kbd")) say(key, key.textContent.replace("Alt ", "⌥"));
  }
}

/** Draw the levels of a call until it is over. */
export function drawCall(levels) {
  drawLevels(byId("meter"), levels);
}

/** Show the controls as they are to be now. */
export function showStage({ call, agent, connected }) {
  const focused = document.activeElement;
  byId("talk").hidden = call !== null;
  byId("incall").hidden = call === null;
  byId("now").hidden = call === null;
  const callable = connected && agent !== undefined && agent.state !== "broken";
  byId("talk").disabled = !callable;
  byId("text").disabled = call === null && !callable;
  byId("send").disabled = byId("text").disabled;
  if (call !== null) showCall(call);
  byId("edited").hidden = !call?.edited;
  if (focused?.closest(".dock") && isGone(focused)) byId(call === null ? "talk" : "mute").focus();
}

/** Let a button do nothing for now; one that is disabled would lose the focus to the next. */
function rest(button, resting) {
  button.setAttribute("aria-disabled", resting);
}

function isResting(button) {
  return button.getAttribute("aria-disabled") === "true";
}

function isGone(element) {
  return element.disabled || element.closest("[hidden]") !== null;
}

/** Show for how long the call lasts. */
export function showClock(call) {
  if (call !== null) say(byId("clock"), clock((performance.now() - call.line.began) / 1000));
}

function showCall(call) {
  const { microphone } = call.line;
  say(byId("mutelabel"), MICROPHONE[microphone]);
  byId("mute").dataset.state = microphone;
  rest(byId("mute"), microphone === "asked");
  byId("break").hidden = call.rehearsal || call.backend === "";
  rest(byId("break"), call.breaking);
  say(byId("breaklabel"), call.failedOver ? "Break the fallback" : "Break the primary");
  say(byId("doing"), microphone === "asked" ? "allow the microphone" : STATES[call.state] ?? "calling");
  byId("now").dataset.state = call.state;
  say(byId("backend"), call.backend);
  showClock(call);
}

function pressShortcut(event) {
  const id = SHORTCUTS[event.code];
  if (id === undefined || !event.altKey || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  const button = byId(id);
  if (button.closest("[hidden]") === null) button.click();
}

/** Times, durations and values as people read them. */

/** Return a moment as "19:02", with its day where that is not today. */
export function moment(iso) {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return "";
  const time = date.toLocaleTimeString([], { hour: "numeric", minute: "2-digit" });
  if (date.toDateString() === new Date().toDateString()) return time;
  return `${date.toLocaleDateString([], { day: "numeric", month: "short" })} ${time}`;
}

/** Return seconds as "1:05", or with hours as "2:01:05". */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (number) => String(number).padStart(2, "0");
  const minutes = Math.floor(whole / 60);
  const rest = two(whole % 60);
  return minutes < 60 ? `${minutes}:${rest}` : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${rest}`;
}

/** Return a short time in seconds as "0.42 s". */
export function brief(seconds) {
  return `${seconds.toFixed(seconds < 10 ? 2 : 0)} s`;
}

/** Return a tool's arguments as they would be written in a call; a text is none, and stays it. */
export function written(values) {
  if (typeof values === "string") return values;
  return Object.entries(values ?? {})
    .map(([name, value]) => `${name}: ${JSON.stringify(value)}`)
    .join(", ");
}

/** Return an agent's state as a short sentence. */
export function standing({ state, since }) {
  const when = moment(since);
  const after = when === "" ? "" : ` since ${when}`;
  return { serving: "Serving", last_good: "Last good", broken: "Broken" }[state] + after;
}

/** Return how a call of an agent begins, as a label and words: its own, or what a model is asked. */
export function opening({ greeting, generated, state }) {
  if (state === "broken") return ["", ""];
  if (!greeting) return ["It waits for you to speak first", ""];
  return [generated ? "It begins as its model likes, asked to" : "It begins with", greeting];
}

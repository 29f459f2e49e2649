/** The rehearsal's voice: the browser's own. Only voices of this machine: none sends text away. */

/** Say whether this browser can speak by itself, now. */
export function canSpeak() {
  return voice() !== undefined;
}

/** Speak; `ended` is called once with the seconds it took and whether it was cut. */
export function speak(text, ended) {
  const began = performance.now();
  const utterance = new SpeechSynthesisUtterance(text);
  utterance.voice = voice();
  utterance.lang = utterance.voice.lang;
  const finish = (interrupted) => ended((performance.now() - began) / 1000, interrupted);
  utterance.addEventListener("end", () => finish(false), { once: true });
  utterance.addEventListener("error", () => finish(true), { once: true });
  speechSynthesis.speak(utterance);
}

/** Cut everything that is being said or waits to be. */
export function hush() {
  globalThis.speechSynthesis?.cancel();
}

function voice() {
  const local = (globalThis.speechSynthesis?.getVoices() ?? []).filter((one) => one.localService);
  const language = (one) => one.lang.startsWith(navigator.language.slice(0, 2));
  return local.find((one) => one.default && language(one)) ?? local.find(language) ?? local[0];
}

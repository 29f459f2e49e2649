/** Small functions over the DOM. What comes from a file, a caller or a model stays text. */

/** Return the element of an id. */
export function byId(id) {
  return document.getElementById(id);
}

/** Return a new element; `onclick` and the like are listeners, true and false switch an attribute. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (typeof value === "boolean") element.toggleAttribute(name, value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** Set an element's text, only where it differs: a selection in it survives. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Make a list show `items`: elements are kept by key, so focus and scrolling survive. */
export function list(parent, items, keyOf, create, update) {
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  const wanted = items.map((item) => {
    const key = keyOf(item);
    const element = known.get(key) ?? create(item);
    element.dataset.key = key;
    update(element, item);
    return element;
  });
  const kept = new Set(wanted);
  for (const element of known.values()) if (!kept.has(element)) element.remove();
  // Whatever is taken out of the page, if only to be put back, loses the focus.
  wanted.forEach((element, index) => {
    const there = parent.children[index];
    if (element !== there) parent.insertBefore(element, there ?? null);
  });
}

/** Return text that shows only its beginning until all of it is asked for. */
export function long(text, limit) {
  if (text.length <= limit) return document.createTextNode(text);
  const shown = make("span", {}, `${text.slice(0, limit)}… `);
  const more = make("button", { type: "button", class: "more" }, `Show all ${text.length} characters`);
  more.addEventListener("click", () => shown.parentNode.replaceChildren(text));
  return make("span", {}, shown, more);
}

// Elements and the controls that stand above a plot.
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

let controlCount = 0;

// A row of radio buttons; `change` is called with the value of the one that is chosen.
function choice(label, options, change) {
  const name = `control-${(controlCount += 1)}`;
  const buttons = options.map(([value, words], place) => {
    const button = element("input", { type: "radio", name, value });
    button.checked = place === 0;
    button.addEventListener("change", () => change(value));
    return element("label", {}, button, element("span", {}, words));
  });
  return element("fieldset", { class: "choice" }, element("legend", {}, label), ...buttons);
}

// A list to choose from by place.
function menu(label, words, change) {
  const list = element("select", {}, ...words.map((word, place) => element("option", { value: place }, word)));
  list.addEventListener("change", () => change(Number(list.value)));
  return element("label", { class: "menu" }, element("span", {}, label), list);
}

// Buttons with the colours of what is shown, which hide and show it.
function legend(entries, change) {
  const hidden = new Set();
  const items = entries.map(({ label, colour }, place) => {
    const swatch = element("span", { class: "swatch" });
    swatch.style.setProperty("--colour", colour);
    const button = element("button", { type: "button", "aria-pressed": "true" }, swatch, label);
    button.addEventListener("click", () => {
      if (!hidden.delete(place)) hidden.add(place);
      button.setAttribute("aria-pressed", String(!hidden.has(place)));
      change();
    });
    return element("li", {}, button);
  });
  return { node: element("ul", { class: "legend", "aria-label": "Shown" }, ...items), hidden };
}

// What the colours of a plot mean, where nothing can be hidden.
function key(entries) {
  const items = entries.map(({ label, colour }) => {
    const swatch = element("span", { class: "swatch" });
    swatch.style.setProperty("--colour", colour);
    return element("li", {}, swatch, label);
  });
  return element("ul", { class: "legend" }, ...items);
}

// What all plots have in common.
const FAR = 4; // numbers further apart than this many times stand on a logarithmic axis

function isWide(low, high) {
  return low > 0 && high > FAR * low;
}

// Four digits at most, thousands apart.
function short(value) {
  return d3.format(Math.abs(value) >= 1e4 ? ",.0f" : ",.4~g")(value).replace("-", "−");
}

// Seconds as a reader wants them.
function duration(seconds) {
  if (seconds < 100) return `${d3.format(".2~g")(seconds)} s`;
  if (seconds < 5400) return `${d3.format(".1~f")(seconds / 60)} min`;
  return `${d3.format(".1~f")(seconds / 3600)} h`;
}

function clipped(text, length) {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}

// A picture of Observable Plot in the page's type, hidden from screen readers, which have words in its place.
// The margin at the top keeps an axis's name clear of its uppermost number.
function picture(options) {
  const svg = Plot.plot({ marginTop: 30, ...options, style: { fontFamily: "inherit", fontSize: "13px", overflow: "visible" } });
  svg.setAttribute("aria-hidden", "true");
  return svg;
}

// A titled part of a figure.
function panel(title, note, ...content) {
  const words = element("p", { class: "panel-title" }, element("strong", {}, title));
  if (note) words.append(" ", element("span", {}, note));
  return element("div", { class: "panel" }, words, ...content);
}

// What stands under the pointer: `rows` are { x, y, title, colour }; `pointer` is one of Plot's, as Plot.pointerX.
function tips(rows, pointer = Plot.pointer) {
  const places = { x: "x", y: "y" };
  return [
    Plot.dot(rows, pointer({ ...places, r: 6, stroke: "currentColor", strokeWidth: 1.5 })),
    Plot.tip(rows, pointer({ ...places, title: "title", lineWidth: 26, fontSize: 13, fill: "var(--surface)" })),
  ];
}

// The places at which the arrow keys stop, from rows in the units of the picture's axes.
function stops(svg, rows) {
  const [x, y] = [svg.scale("x"), svg.scale("y")];
  return rows.map((row) => ({
    svg,
    x: x.apply(row.x),
    y: y.apply(row.y),
    text: row.title.replaceAll("\n", ", "),
  }));
}

const PLOTS = {};

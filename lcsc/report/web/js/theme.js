// Colours in light and dark, and whether things may move.
const darkScheme = window.matchMedia("(prefers-color-scheme: dark)");

// A method's colour: the same hue everywhere, but light enough to be seen on dark ground.
function shade(colour) {
  const found = d3.lch(colour);
  if (darkScheme.matches) found.l = Math.max(found.l, 66);
  return found.formatHex();
}

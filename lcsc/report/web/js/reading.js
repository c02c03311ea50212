// What the pointer shows, the arrow keys show too, and a screen reader hears it.
//
// `points` are the places to stop at: { svg, x, y, text }, with x and y in the coordinates of the picture `svg`.
function makeReadable(stage, label) {
  const said = element("p", { class: "hidden", role: "status" });
  let points = [];
  let at = -1;

  const show = (place) => {
    if (at >= 0) leave(points[at]);
    at = place;
    const { svg, x, y, text } = points[at];
    const box = svg.getBoundingClientRect();
    const scale = box.width / svg.viewBox.baseVal.width;
    svg.scrollIntoView({ block: "nearest" });
    svg.dispatchEvent(
      new PointerEvent("pointermove", { clientX: box.left + x * scale, clientY: box.top + y * scale, pointerType: "mouse" }),
    );
    said.textContent = text;
  };
  const leave = ({ svg }) => svg.dispatchEvent(new PointerEvent("pointerleave", { pointerType: "mouse" }));
  const rest = () => {
    if (at >= 0 && points.length) leave(points[at]);
    at = -1;
  };

  stage.tabIndex = 0;
  stage.setAttribute("role", "application");
  stage.setAttribute("aria-roledescription", "interactive plot");
  stage.setAttribute("aria-label", `${label} Left and right arrow keys read the values.`);
  stage.addEventListener("blur", rest);
  stage.addEventListener("keydown", (event) => {
    const last = points.length - 1;
    const targets = { ArrowRight: Math.min(at + 1, last), ArrowLeft: Math.max(at - 1, 0), Home: 0, End: last };
    if (event.key === "Escape") rest();
    if (!(event.key in targets) || last < 0) return;
    show(targets[event.key]);
    event.preventDefault();
  });
  return {
    said,
    use(found) {
      points = found;
      at = -1;
    },
  };
}

// Two pictures of the same noise, one over the other: right of the slider's thumb the second one is seen.
function stageComparison(comparison) {
  const slider = comparison.querySelector(".slider");
  const range = slider.querySelector("input");
  const pair = comparison.querySelector(".pair");
  const picture = pair.querySelector("img");

  const show = () => {
    comparison.style.setProperty("--at", `${range.value}%`);
    range.setAttribute("aria-valuetext", `line at ${range.value} percent`);
  };
  const follow = (event) => {
    if (event.type === "pointermove" && event.buttons !== 1) return;
    const box = picture.getBoundingClientRect();
    range.valueAsNumber = (100 * (event.clientX - box.left)) / box.width;
    show();
  };

  range.addEventListener("input", show);
  pair.addEventListener("pointerdown", follow);
  pair.addEventListener("pointermove", follow);
  pair.querySelectorAll("img").forEach((image) => {
    image.draggable = false;
  });
  comparison.classList.add("is-live");
  slider.hidden = false;
  show();
}

// Puts an interactive plot where a figure's picture is; the picture stays for print and for pages without scripts.
function stagePlot(figure) {
  const live = figure.querySelector(".live");
  const data = JSON.parse(figure.querySelector("script[type='application/json']").textContent);
  const described = figure.querySelector(".still [role='img'], .still img");
  const stage = element("div", { class: "stage" });
  const reader = makeReadable(stage, described.getAttribute("aria-label") ?? described.alt);
  let width = 0;

  const redraw = () => {
    const drawn = plot.draw(width);
    stage.replaceChildren(...drawn.nodes);
    reader.use(drawn.points);
  };
  const plot = PLOTS[figure.dataset.plot](data, redraw);
  const fit = () => {
    const found = Math.floor(stage.clientWidth);
    if (!found || found === width) return;
    width = found;
    redraw();
  };

  if (plot.controls.length) live.append(element("div", { class: "controls" }, ...plot.controls));
  live.append(stage, reader.said);
  live.hidden = false;
  figure.classList.add("is-live");
  try {
    fit();
  } catch (error) {
    live.hidden = true;
    figure.classList.remove("is-live");
    throw error;
  }
  new ResizeObserver(fit).observe(stage);
  darkScheme.addEventListener("change", redraw);
}

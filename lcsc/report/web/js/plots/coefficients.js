// A search's coefficients over training steps: the mean of its rows, or the row of one parameter group.
PLOTS.coefficients = ({ steps, searches, shaped }, redraw) => {
  let search = searches[0];
  let row = 0;
  const rowMenu = element("span", { class: "slot" });

  const offerRows = () => {
    row = 0;
    rowMenu.replaceChildren();
    if (search.rows.length < 2) return;
    rowMenu.append(
      menu("Row", search.rows.map((one) => one.name), (place) => {
        row = place;
        redraw();
      }),
    );
  };
  const controls = [];
  if (searches.length > 1) {
    controls.push(
      menu("Search", searches.map((one) => one.label), (place) => {
        search = searches[place];
        offerRows();
        redraw();
      }),
    );
  }
  controls.push(rowMenu);
  offerRows();

  const words = (value) => (value && Math.abs(value) < 5e-5 ? d3.format(".0e")(value) : d3.format(",.4f")(value)).replaceAll("-", "−");
  const gap = d3.min(d3.pairs(steps), ([former, later]) => later - former) ?? 1;

  const bars = () => {
    const { values } = search.rows[row];
    return steps.map((step, place) => ({
      x: step,
      y: values[place],
      title: [
        `step ${d3.format(",")(step)}: ${words(values[place])}`,
        ...(row === 0 && search.low ? [`rows from ${words(search.low[place])} to ${words(search.high[place])}`] : []),
        ...(shaped ? [`EMA-shaped: ${words(shaped.values[place])}`] : []),
      ].join("\n"),
      low: search.low?.[place],
      high: search.high?.[place],
      shaped: shaped?.values[place],
    }));
  };

  return {
    controls,
    draw(width) {
      const rows = bars();
      const tone = shade(search.colour);
      const svg = picture({
        width,
        height: Math.max(240, Math.min(340, width * 0.5)),
        marginLeft: 56,
        marginBottom: 42,
        x: { type: "linear", domain: [steps[0] - gap, steps.at(-1) + gap], label: "Training step of the checkpoint", ticks: width < 460 ? 4 : 8, tickFormat: d3.format(",") },
        y: { label: "Coefficient", grid: true, nice: true, tickFormat: ",~r" },
        marks: [
          row === 0 && search.low ? Plot.areaY(rows, { x: "x", y1: "low", y2: "high", fill: tone, fillOpacity: 0.16 }) : null,
          Plot.rectY(rows, { x1: (one) => one.x - 0.36 * gap, x2: (one) => one.x + 0.36 * gap, y: "y", fill: tone }),
          shaped ? Plot.line(rows, { x: "x", y: "shaped", stroke: shade(shaped.colour), strokeWidth: 2, marker: "dot" }) : null,
          Plot.ruleY([0]),
          ...tips(rows, Plot.pointerX),
        ],
      });
      const swatches = [{ label: search.rows[row].name, colour: tone }];
      if (shaped) swatches.push({ label: shaped.label, colour: shade(shaped.colour) });
      return { nodes: [key(swatches), panel(search.label, search.note, svg)], points: stops(svg, rows) };
    },
  };
};

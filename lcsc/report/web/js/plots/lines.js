// Medians of methods over what runs differ in, with their ranges over training seeds; a panel for each extractor.
PLOTS.lines = ({ panels, x, unit }, redraw) => {
  const methods = panels[0].series;
  const shown = legend(methods.map(({ label, colour }) => ({ label, colour: shade(colour) })), redraw);

  const rowsOf = (one, found) =>
    one.points.map(([at, median, low, high]) => ({
      x: at,
      y: median,
      low,
      high,
      title: `${one.label}\n${x.label}: ${x.scale === "category" ? at : d3.format(",")(at)}\n${found.title} ${short(median)} (${short(low)}–${short(high)})`,
    }));

  const axisOf = (series, width) => {
    const ticks = [...new Set(series.flatMap((one) => one.points.map(([at]) => at)))];
    if (x.scale === "category") return { type: "point", domain: ticks, label: x.label };
    const crowded = ticks.length > 5 && width < 560;
    return { type: x.scale === "log" ? "log" : "linear", label: x.label, ticks, tickFormat: ",", tickRotate: crowded ? -45 : 0, insetLeft: 12, insetRight: 12 };
  };

  const drawPanel = (found, width) => {
    const visible = found.series
      .filter((one) => !shown.hidden.has(methods.findIndex(({ label }) => label === one.label)))
      .map((one) => ({ tone: shade(one.colour), rows: rowsOf(one, found) }));
    const rows = visible.flatMap((one) => one.rows);
    const [low, high] = [d3.min(found.series, (one) => d3.min(one.points, (p) => p[2])), d3.max(found.series, (one) => d3.max(one.points, (p) => p[3]))];
    const svg = picture({
      width,
      height: Math.max(260, Math.min(380, width * 0.6)),
      marginLeft: 52,
      marginBottom: 52,
      x: axisOf(found.series, width),
      y: { type: isWide(low, high) ? "log" : "linear", label: unit, grid: true, ticks: 6, tickFormat: ",~r", domain: isWide(low, high) ? [low / 1.2, high * 1.2] : [0, high * 1.05] },
      marks: [
        ...visible.map((one) => Plot.ruleX(one.rows, { x: "x", y1: "low", y2: "high", stroke: one.tone, strokeOpacity: 0.6 })),
        ...(x.scale === "category" ? [] : visible.map((one) => Plot.line(one.rows, { x: "x", y: "y", stroke: one.tone, strokeWidth: 2.5 }))),
        ...visible.map((one) => Plot.dot(one.rows, { x: "x", y: "y", r: 4, fill: one.tone, stroke: "var(--surface)" })),
        ...tips(rows),
      ],
    });
    return { node: panel(found.title, found.note, svg), points: stops(svg, rows) };
  };

  return {
    controls: [shown.node],
    draw(width) {
      const beside = width >= 760;
      const parts = panels.map((found) => drawPanel(found, beside ? Math.floor(width / panels.length) : width));
      const frame = element("div", { class: beside ? "panels beside" : "panels" }, ...parts.map((part) => part.node));
      return { nodes: [frame], points: parts.flatMap((part) => part.points) };
    },
  };
};

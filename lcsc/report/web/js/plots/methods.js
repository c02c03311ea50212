// Each method's distance as a dot with its spread, a panel for each extractor.
PLOTS.methods = ({ unit, columns, methods }) => {
  const ROW = 27;

  const drawColumn = (column, place, width, withLabels) => {
    const narrow = width < 460;
    const letters = narrow ? 17 : 36;
    // On a phone there is room for what tells searches apart.
    const name = (row) => clipped(narrow ? row.label.replace(/^LCSC \((.+)\)$/, "$1") : row.label, letters);
    const rows = methods.map((method, y) => ({ ...method, ...method.values[place], y, x: method.values[place].mean }));
    rows.forEach((row) => {
      row.title = `${row.label}\n${row.words}`;
      row.tone = shade(row.colour);
    });
    const values = rows.map((row) => row.mean).concat(column.floor ?? []);
    const log = isWide(d3.min(values), d3.max(values));
    const domain = log ? [d3.min(values) / 1.25, d3.max(values) * 1.25] : [0, d3.max(values) * 1.1];
    const labelWidth = withLabels ? (narrow ? 132 : 236) : 12;
    const strong = (row) => row.strong;
    const svg = picture({
      width,
      height: 58 + ROW * rows.length,
      marginLeft: labelWidth,
      marginRight: narrow ? 62 : 104,
      marginTop: 8,
      marginBottom: 42,
      x: { type: log ? "log" : "linear", domain, label: unit, ticks: narrow ? 3 : 5, tickFormat: ",~r" },
      y: { type: "linear", domain: [rows.length - 0.4, -0.6], axis: null },
      marks: [
        Plot.ruleY(rows, { y: "y", strokeOpacity: 0.1 }),
        Plot.ruleX([column.base], { stroke: shade(column.baseColour), strokeDasharray: "6 3" }),
        Plot.ruleX(column.floor === null ? [] : [column.floor], { strokeDasharray: "1 3", strokeLinecap: "round" }),
        Plot.ruleY(rows, { y: "y", x1: (row) => Math.max(row.mean - row.spread, domain[0]), x2: (row) => row.mean + row.spread, stroke: "tone", strokeWidth: 2 }),
        Plot.dot(rows, { x: "x", y: "y", fill: "tone", r: 5.5, stroke: "var(--surface)" }),
        ...[false, true].flatMap((bold) => {
          const some = rows.filter((row) => Boolean(strong(row)) === bold);
          const type = { y: "y", fill: "currentColor", fontWeight: bold ? 650 : 400 };
          const right = { ...type, frameAnchor: "right", textAnchor: "start", dx: 10 };
          const found = [Plot.text(some, { ...right, text: narrow ? "ratio" : "short" })];
          if (withLabels) {
            found.push(Plot.text(some, { ...type, frameAnchor: "left", textAnchor: "start", dx: 6 - labelWidth, text: name }));
          }
          return found;
        }),
        ...tips(rows, Plot.pointerY),
      ],
    });
    return { node: panel(column.title, column.note, svg), points: stops(svg, rows) };
  };

  return {
    controls: [],
    draw(width) {
      const beside = columns.length > 1 && width >= 760;
      const first = beside ? Math.round((width + 224) / 2) : width;
      const parts = columns.map((column, place) =>
        drawColumn(column, place, place && beside ? width - first : first, !place || !beside),
      );
      const row = element("div", { class: beside ? "panels beside" : "panels" }, ...parts.map((part) => part.node));
      return { nodes: [row], points: parts.flatMap((part) => part.points) };
    },
  };
};

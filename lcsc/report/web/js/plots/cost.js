// Seconds of each step as bars.
PLOTS.cost = ({ steps }) => {
  const ROW = 26;
  return {
    controls: [],
    draw(width) {
      const narrow = width < 460;
      const labelWidth = narrow ? 128 : 220;
      const rows = steps.map((step, y) => ({ ...step, x: step.seconds, y, title: `${step.label}\n${step.words}` }));
      const longest = d3.max(rows, (row) => row.x) || 1;
      const svg = picture({
        width,
        height: 52 + ROW * rows.length,
        marginLeft: labelWidth,
        marginRight: narrow ? 72 : 250,
        marginTop: 6,
        marginBottom: 42,
        x: { domain: [0, longest], label: "Seconds (sum over the step’s jobs)", ticks: narrow ? 3 : 5, tickFormat: d3.format(",") },
        y: { type: "linear", domain: [rows.length - 0.4, -0.6], axis: null },
        marks: [
          Plot.rect(rows, { x1: 0, x2: "x", y1: (row) => row.y - 0.32, y2: (row) => row.y + 0.32, fill: (row) => shade(row.colour) }),
          Plot.text(rows, { x: "x", y: "y", text: narrow ? "time" : "words", textAnchor: "start", dx: 6 }),
          Plot.text(rows, { y: "y", text: (row) => clipped(row.label, narrow ? 19 : 34), frameAnchor: "left", textAnchor: "start", dx: 4 - labelWidth }),
          ...tips(rows, Plot.pointerY),
        ],
      });
      return { nodes: [svg], points: stops(svg, rows) };
    },
  };
};

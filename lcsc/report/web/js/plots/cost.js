// Seconds of each step as bars.
PLOTS.cost = ({ steps }) => {
  const [ROW, LETTER] = [26, 7.6];
  return {
    controls: [],
    draw(width) {
      const narrow = width < 460;
      const labelWidth = narrow ? 144 : 220;
      const rows = steps.map((step, y) => ({ ...step, x: step.seconds, y, title: `${step.label}\n${step.words}` }));
      const longest = d3.max(rows, (row) => row.x) || 1;
      const beside = narrow ? "time" : "words"; // of a bar; LETTER pixels are as wide as letters get
      const room = 12 + LETTER * d3.max(rows, (row) => row[beside].length);
      const svg = picture({
        width,
        height: 52 + ROW * rows.length,
        marginLeft: labelWidth,
        marginRight: room,
        marginTop: 6,
        marginBottom: 42,
        x: { domain: [0, longest], label: "Seconds (sum over the step’s jobs)", ticks: narrow ? 3 : 5, tickFormat: d3.format(",") },
        y: { type: "linear", domain: [rows.length - 0.4, -0.6], axis: null },
        marks: [
          Plot.rect(rows, { x1: 0, x2: "x", y1: (row) => row.y - 0.32, y2: (row) => row.y + 0.32, fill: (row) => shade(row.colour) }),
          Plot.text(rows, { x: "x", y: "y", text: beside, textAnchor: "start", dx: 6 }),
          Plot.text(rows, { y: "y", text: (row) => clipped(row.label, narrow ? 18 : 34), frameAnchor: "left", textAnchor: "start", dx: 4 - labelWidth }),
          ...tips(rows, Plot.pointerY),
        ],
      });
      return { nodes: [svg], points: stops(svg, rows) };
    },
  };
};

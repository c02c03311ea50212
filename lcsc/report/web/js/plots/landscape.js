// Distance over the plane through three weights as contours, with marks for what training and searches gave.
PLOTS.landscape = ({ landscapes, columns }, redraw) => {
  let [at, by] = [0, 0];
  const controls = [];
  if (landscapes.length > 1) {
    controls.push(menu("Plane", landscapes.map((one) => one.label), (place) => ((at = place), redraw())));
  }
  if (columns.length > 1) {
    controls.push(choice("Distance", columns.map((one, place) => [place, one.title]), (place) => ((by = place), redraw())));
  }

  const gridRows = ({ xs, ys }, { title }, values) =>
    ys.flatMap((y, row) =>
      xs.map((x, place) => ({ x, y, value: values[row * xs.length + place] })),
    )
      .filter((point) => point.value !== null)
      .map((point) => ({ ...point, title: `${title} ${short(point.value)}\nx ${short(point.x)}, y ${short(point.y)}` }));

  const markRows = (one, { title }, place) =>
    one.marks.map((mark) => ({
      ...mark,
      tone: mark.colour,
      title: `${mark.label}\n${title} ${mark.values[place] === null ? "none" : short(mark.values[place])} of its own weights\n${mark.words}`,
    }));

  return {
    controls,
    draw(width) {
      const one = landscapes[at];
      const column = columns[by];
      const { low, high, lines } = column;
      const values = one.values[by];
      const [grid, marks] = [gridRows(one, column, values), markRows(one, column, by)];
      const corners = one.corners.map((corner) => ({ ...corner, title: `${corner.name}: step ${d3.format(",")(corner.step)}` }));
      const half = (one.xs[1] - one.xs[0]) / 2;
      const extent = { x1: one.xs[0] - half, x2: one.xs.at(-1) + half, y1: one.ys[0] - half, y2: one.ys.at(-1) + half };
      const surface = { ...extent, width: one.xs.length, height: one.ys.length, clip: true };
      const ground = { type: "log", scheme: "cividis", domain: [low, high] };
      const side = Math.min(width, 560);
      const svg = picture({
        width: side,
        marginLeft: 48,
        marginBottom: 42,
        marginRight: 24,
        height: side,
        x: { domain: [one.xs[0], one.xs.at(-1)], label: "x" },
        y: { domain: [one.ys[0], one.ys.at(-1)], label: "y" },
        color: ground,
        marks: [
          Plot.contour(values, { ...surface, fill: Plot.identity, stroke: "none", thresholds: d3.range(24).map((band) => low * (high / low) ** (band / 24)) }),
          Plot.contour(values, { ...surface, stroke: "white", strokeOpacity: 0.8, strokeWidth: 0.8, thresholds: lines }),
          Plot.dot(corners, { x: "x", y: "y", r: 4, fill: "white", stroke: "#1f2328" }),
          Plot.text(corners, { x: "x", y: "y", text: (corner) => d3.format(",")(corner.step), dy: 13, fill: "#1f2328", stroke: "white", strokeWidth: 3 }),
          Plot.dot(marks, { x: "x", y: "y", r: 7, fill: (mark) => (mark.beyond ? "white" : mark.tone), stroke: (mark) => (mark.beyond ? mark.tone : "white"), strokeWidth: 2 }),
          ...tips([...grid, ...marks, ...corners]),
        ],
      });
      const scale = Plot.legend({ color: { ...ground, label: `${column.title} to held-out images (${column.note})` }, width: Math.min(width, 360), ticks: 5, tickFormat: ",~r" });
      scale.setAttribute("aria-hidden", "true");
      const names = one.marks.map(({ label, colour }) => ({ label, colour }));
      const best = d3.least(grid, (point) => point.value);
      const readable = [...marks, ...corners, ...(best ? [{ ...best, title: `Lowest on the grid: ${best.title}` }] : [])];
      return { nodes: [key(names), panel(one.label, one.note, svg), scale], points: stops(svg, readable) };
    },
  };
};

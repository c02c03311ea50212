// Each search's candidates and the best so far, over evaluations or seconds; baselines as lines.
PLOTS.courses = ({ panels, seconds, unit }, redraw) => {
  let against = "evaluations";
  const series = panels.flatMap((found) => found.series);
  const shown = legend(series.map(({ label, colour }) => ({ label, colour: shade(colour) })), redraw);
  const controls = [];
  if (seconds) {
    controls.push(
      choice("Against", [["evaluations", "evaluations"], ["seconds", "seconds"]], (value) => {
        against = value;
        redraw();
      }),
    );
  }
  controls.push(shown.node);

  const amount = (evaluations, time) => (against === "seconds" ? time : evaluations);
  const spent = (evaluations, time) =>
    `evaluation ${d3.format(",")(evaluations)}${time === null ? "" : `, ${duration(time)}`}`;

  const pointRows = (one) =>
    one.points.map(([evaluations, generation, score, time]) => ({
      x: amount(evaluations, time),
      y: score,
      title: `${one.label}\n${spent(evaluations, time)}, generation ${generation}\nscore ${short(score)}`,
    }));
  const courseRows = (one) =>
    one.course.map(([evaluations, value, time]) => ({
      x: amount(evaluations, time),
      y: value,
      title: `${one.label}\n${spent(evaluations, time)}\n${one.fresh ? "running median" : "best so far"} ${short(value)}`,
    }));
  const choiceRows = (found) =>
    found.choices
      .filter((one) => against !== "seconds" || one.seconds !== null)
      .map((one) => ({
        x: amount(one.evaluations, one.seconds),
        y: one.value,
        tone: shade(one.colour),
        title: `${one.label}\nchosen: ${short(one.value)} on selection noise`,
      }));

  const drawPanel = (found, width) => {
    const visible = found.series
      .filter((one) => !shown.hidden.has(series.indexOf(one)))
      .map((one) => ({ tone: shade(one.colour), points: pointRows(one), course: courseRows(one) }));
    const choices = choiceRows(found);
    const all = [...visible.flatMap((one) => [...one.points, ...one.course]), ...choices];
    const ends = found.series.map((one) => amount(...one.end));
    const last = d3.max([...ends, ...choices.map((row) => row.x), 1]);
    const first = d3.min(all.filter((row) => row.x > 0), (row) => row.x) ?? last / 100;
    const log = isWide(d3.min(ends), d3.max(ends));
    const lineLabels = width >= 560;
    const svg = picture({
      width,
      height: lineLabels ? Math.min(390, width * 0.55) : 320, // so that labels of lines that are close do not meet
      marginLeft: 52,
      marginRight: lineLabels ? 200 : 16,
      marginBottom: 42,
      x: { type: log ? "log" : "linear", domain: log ? [first, last] : [0, last], label: against === "seconds" ? "Seconds of scoring" : "Evaluations", ticks: width < 460 ? 4 : 7, tickFormat: ",~r" },
      y: { type: found.log ? "log" : "linear", domain: [found.low, found.high], label: unit, grid: true, ticks: 6, tickFormat: ",~r" },
      marks: [
        ...visible.map((one) => Plot.dot(one.points, { x: "x", y: "y", r: 2, fill: one.tone, fillOpacity: 0.35, clip: true })),
        ...visible.map((one) => Plot.line(one.course, { x: "x", y: "y", curve: "step-after", stroke: one.tone, strokeWidth: 2.5, clip: true })),
        ...found.lines.map((line) => Plot.ruleY([line.value], { stroke: shade(line.colour), strokeDasharray: "6 3", strokeWidth: 1.5 })),
        Plot.text(found.lines, { y: "place", text: (line) => (lineLabels ? clipped(`${line.label}  ${short(line.value)}`, 30) : clipped(line.label, 18)), fill: "currentColor", stroke: "var(--surface)", strokeWidth: 4, frameAnchor: "right", textAnchor: lineLabels ? "start" : "end", dx: lineLabels ? 6 : 0, dy: lineLabels ? 0 : -7 }),
        Plot.dot(choices, { x: "x", y: "y", symbol: "diamond", r: 6, fill: "tone", stroke: "var(--surface)", strokeWidth: 1.5 }),
        ...tips(all.filter((row) => row.y >= found.low && row.y <= found.high)),
      ],
    });
    const readable = [...visible.flatMap((one) => one.course), ...choices];
    return { node: found.title ? panel(found.title, found.note, svg) : svg, points: stops(svg, readable) };
  };

  return {
    controls,
    draw(width) {
      const parts = panels.map((found) => drawPanel(found, width));
      return { nodes: parts.map((part) => part.node), points: parts.flatMap((part) => part.points) };
    },
  };
};

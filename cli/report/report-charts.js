// Runs inside of report.html: draws each chart of the embedded data with uPlot.
{
  const container = document.getElementById('charts');
  const charts = JSON.parse(document.getElementById('chart-data').textContent);
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const height = 280;
  // Curves of few points, such as evaluations, show each of them.
  const dottedPointsMax = 30;
  let drawn = [];

  const draw = () => {
    for (const plot of drawn) plot.destroy();
    container.replaceChildren();
    // All figures first: how wide one is depends on how many there are.
    const figures = charts.map(addFigure);
    drawn = charts.map((chart, index) => drawChart(chart, figures[index]));
  };

  const addFigure = ({ title, unit }) => {
    const figure = document.createElement('figure');
    const caption = document.createElement('figcaption');
    const quantity = document.createElement('small');
    quantity.textContent = unit;
    caption.append(title, ' ', quantity);
    figure.append(caption);
    container.append(figure);
    return figure;
  };

  const drawChart = ({ lines }, figure) => {
    const shown = lines.filter(({ x }) => x.length > 0);
    // Lines have steps of their own; uPlot wants one common axis with gaps.
    const data = uPlot.join(shown.map(({ x, y }) => [x, y]));
    const axis = {
      stroke: colour('--text-soft'),
      grid: { stroke: colour('--rule'), width: 1 },
      ticks: { show: false },
    };
    const options = {
      width: figure.clientWidth,
      height,
      scales: { x: { time: false } },
      axes: [axis, { ...axis, size: 64 }],
      series: [{ label: 'step' }, ...shown.map(toSeries)],
      cursor: { sync: { key: 'step' } },
    };
    return new uPlot(options, data, figure);
  };

  const toSeries = ({ name, colour: index, kind, x }) => {
    const stroke = colour(index === null ? '--text-soft' : `--line-${index % 8}`);
    return {
      label: name,
      class: kind,
      spanGaps: true,
      points: { show: kind === 'line' && x.length <= dottedPointsMax, size: 6 },
      value: (_, value) => (value == null ? '–' : Number(value.toPrecision(5)).toString()),
      stroke,
      width: kind === 'raw' ? 1 : 2,
      alpha: kind === 'raw' ? 0.25 : 1,
      ...(kind === 'dashed' && { dash: [6, 4] }),
    };
  };

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  dark.addEventListener('change', draw);
  addEventListener('resize', () => {
    for (const plot of drawn) {
      plot.setSize({ width: plot.root.parentElement.clientWidth, height });
    }
  });
  draw();
}

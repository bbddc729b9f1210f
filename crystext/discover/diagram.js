// Draws the phase diagrams, whose data are in the page, with Plotly.
"use strict";

document.querySelectorAll(".diagram").forEach((place) => {
  const { data, layout } = JSON.parse(place.dataset.figure);
  const { width, height, ...rest } = layout; // the page decides on the size
  const font = { color: getComputedStyle(document.body).color };
  Plotly.newPlot(place, data, { ...rest, font, autosize: true }, { displayModeBar: false });
  new ResizeObserver(() => Plotly.Plots.resize(place)).observe(place);
});

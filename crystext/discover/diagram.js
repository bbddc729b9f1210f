// Draws the phase diagrams, whose data are in the page, with Plotly.
"use strict";

document.querySelectorAll(".diagram").forEach((place) => {
  const { data, layout } = JSON.parse(place.dataset.figure);
  const colour = getComputedStyle(document.body).color;
  const settings = { responsive: true, displaylogo: false };
  Plotly.newPlot(place, data, { ...layout, font: { color: colour }, autosize: true }, settings);
});

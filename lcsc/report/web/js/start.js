// One figure's failure leaves its picture, and the other figures, as they are.
function stageAll(selector, stageOne) {
  document.querySelectorAll(selector).forEach((found) => {
    try {
      stageOne(found);
    } catch (error) {
      reportError(error);
    }
  });
}

stageAll("[data-plot]", stagePlot);
stageAll(".comparison", stageComparison);
if (navigator.clipboard) stageAll(".copy", stageCopy);

(() => {
  "use strict";
  const tooltip = document.getElementById("tooltip");

  const hide = () => {
    tooltip.classList.remove("shown");
    document.querySelectorAll(".tip.on").forEach((tip) => tip.classList.remove("on"));
  };

  const show = (tip, x, y) => {
    hide();
    tip.classList.add("on");
    if (tooltip.textContent !== tip.dataset.tip) tooltip.textContent = tip.dataset.tip;
    tooltip.classList.add("shown");
    const box = tooltip.getBoundingClientRect();
    const left = Math.min(Math.max(8, x + 14), window.innerWidth - box.width - 8);
    const top = y - box.height - 12 < 8 ? y + 18 : y - box.height - 12;
    tooltip.style.left = `${left}px`;
    tooltip.style.top = `${top}px`;
  };

  const showAtItsPlace = (tip) => {
    tip.scrollIntoView({ block: "nearest", inline: "nearest" });
    const box = tip.getBoundingClientRect();
    show(tip, box.left + box.width / 2, box.top + 30);
  };

  document.querySelectorAll("[data-figure]").forEach((figure) => {
    const tips = [...figure.querySelectorAll(".tip")];
    tips.forEach((tip) => {
      // The browser's own tooltip would come a second later and say the same.
      const title = tip.querySelector("title");
      tip.dataset.tip = title.textContent;
      title.remove();
    });
    figure.addEventListener("pointermove", (event) => {
      const tip = event.target.closest(".tip");
      if (tip) show(tip, event.clientX, event.clientY);
      else hide();
    });
    figure.addEventListener("pointerleave", hide);
    figure.addEventListener("blur", hide);
    figure.addEventListener("keydown", (event) => {
      const moves = { ArrowLeft: -1, ArrowRight: 1 };
      if (event.key === "Escape") hide();
      if (!(event.key in moves) || !tips.length) return;
      const now = tips.findIndex((tip) => tip.classList.contains("on"));
      const next = now < 0 ? 0 : Math.min(Math.max(now + moves[event.key], 0), tips.length - 1);
      showAtItsPlace(tips[next]);
      event.preventDefault();
    });
  });

  if (navigator.clipboard) {
    document.querySelectorAll(".copy").forEach((button) => {
      button.hidden = false;
      button.addEventListener("click", async () => {
        await navigator.clipboard.writeText(button.parentElement.querySelector("code").textContent);
        button.textContent = "Copied";
        setTimeout(() => { button.textContent = "Copy"; }, 1500);
      });
    });
  }
})();

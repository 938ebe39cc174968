// Claims: show all, those that hold, those that do not, or those that are undecided.

DRAW.claims = function (section) {
  const form = section.querySelector("form");
  form.hidden = false;
  form.addEventListener("change", () => {
    const wanted = form.elements.claims.value;
    for (const item of section.querySelectorAll("li")) {
      item.hidden = wanted !== "all" && !item.classList.contains(wanted);
    }
  });
};

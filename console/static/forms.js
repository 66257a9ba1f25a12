// Two comforts of forms: a button that waits for the exact name, and a name that is checked while it is typed.
for (const button of document.querySelectorAll("[data-needs]")) {
  const field = document.getElementById(button.dataset.needs);
  const look = () => { button.disabled = field.value.trim() !== button.dataset.expect; };
  field.addEventListener("input", look);
  look();
}
for (const field of document.querySelectorAll("[data-check]")) {
  const says = document.getElementById(field.getAttribute("aria-describedby"));
  const hint = says.querySelector(".hint");
  let timer, asked = 0;
  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const turn = ++asked;
      let problem = "";
      if (field.value) {
        const answer = await fetch(`${field.dataset.check}?${new URLSearchParams({ [field.name]: field.value })}`);
        if (!answer.ok) return;
        problem = (await answer.json()).problem ?? "";
      }
      if (turn !== asked) return;
      field.toggleAttribute("aria-invalid", Boolean(problem));
      if (problem) field.setAttribute("aria-invalid", "true");
      let error = says.querySelector(".error");
      if (!error) {
        error = document.createElement("span");
        error.className = "error";
        error.setAttribute("role", "status");
        says.prepend(error, " ");
      }
      error.textContent = problem;
      if (hint) hint.hidden = Boolean(problem);
    }, 200);
  });
}
